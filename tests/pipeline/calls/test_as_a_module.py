"""The pipeline inside another Snakefile, as docs/running.md shows it; and where its folder must not be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from harness import ROOT, Pipeline, study

MODULE = f"""
module energy:
    snakefile: "{ROOT}/Snakefile"
    config: {{config}}

use rule * from energy{{name}}
"""
ONSTART = "\nonstart:\n    energy.onstart()\n"


def write_outer(pipeline: Pipeline, text: str) -> Path:
    """In a folder beside the study's, so that neither is the other's."""
    path = pipeline.directory / "outer" / "Snakefile"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return path


def test_a_module_with_a_part_of_the_outer_config(pipeline: Pipeline) -> None:
    outer = write_outer(pipeline, MODULE.format(config='config["energy"]', name=" as energy_*"))
    pipeline.write({"other": 1, "energy": study(measurement={"replicates": 2})})
    done = pipeline.snakemake("-n", snakefile=outer)
    assert done.returncode == 0, done.output
    assert done.jobs["energy_measure"] == 2


@pytest.mark.slow
def test_a_module_runs_where_the_outer_calls_its_onstart(pipeline: Pipeline) -> None:
    pipeline.write(study())
    outer = write_outer(pipeline, 'configfile: "study.yaml"\n' + MODULE.format(config="config", name=""))
    without = pipeline.snakemake("validate", snakefile=outer, configfile=None)
    assert without.returncode == 1 and "has to call its onstart (docs/running.md" in without.output
    assert "Traceback" not in without.output
    with outer.open("a", encoding="utf-8") as lines:
        lines.write(ONSTART)
    done = pipeline.snakemake("validate", snakefile=outer, configfile=None)
    assert done.returncode == 0, done.output
    assert json.loads((pipeline.results() / "validation.json").read_text(encoding="utf-8"))["problems"] == []
    assert (pipeline.results() / "provenance/resolved.yaml").exists()


@pytest.mark.slow
def test_a_mistake_in_the_config_of_a_module_has_no_line_of_another_file(pipeline: Pipeline) -> None:
    outer = write_outer(
        pipeline, MODULE.format(config='dict(study="a", defaults=dict(modell="random:llama"))', name="")
    )
    done = pipeline.snakemake("-n", snakefile=outer, configfile=None)
    assert done.returncode == 1
    assert done.output.startswith("defaults.modell: is not a setting; did you mean model?")


@pytest.mark.slow
def test_an_included_pipeline(pipeline: Pipeline) -> None:
    outer = write_outer(pipeline, f'include: "{ROOT}/Snakefile"\n')
    pipeline.write(study())
    done = pipeline.snakemake("-n", "all", snakefile=outer)
    assert done.returncode == 0, done.output
    assert done.jobs["measure"] == 1


@pytest.mark.slow
def test_braces_in_the_path_of_the_pipeline_are_one_line(pipeline: Pipeline) -> None:
    clone = pipeline.directory / "a {b} clone"
    for name in ("workflow", "scripts"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", clone)
    pipeline.write(study())
    done = pipeline.snakemake("-n", snakefile=clone / "Snakefile")
    assert done.returncode == 1
    assert "has braces in its path, which Snakemake reads as a wildcard: rename it" in done.output
    assert "NameError" not in done.output
