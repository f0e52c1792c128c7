"""A study is measured again from a copy of its results folder alone, somewhere else."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from harness import Pipeline, study
from pipeline.provenance.rerun_folder import begun
from rocrate.rocrate import ROCrate

FROM = ("--config", "from=results/quick")


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Path → hash and time of every file."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def measured(pipeline: Pipeline, name: str) -> list[tuple[str, int, str]]:
    return [(record["session_id"], record["replicate"], record["experiment_id"]) for record in pipeline.records(name)]


def test_a_dry_run_of_a_rerun_needs_nothing_but_the_folder_and_writes_nothing(pipeline: Pipeline) -> None:
    begun(pipeline.results())
    before = contents(pipeline.directory / "results")
    done = pipeline.snakemake("rerun", "-n", *FROM, configfile=None)
    assert done.returncode == 0, done.output
    assert (done.jobs["load"], done.jobs["warmup"], done.jobs["measure"], done.jobs["crate"]) == (2, 2, 4, 1)
    # Nothing was measured, so there is nothing to compare with, and that is said once.
    assert done.output.count("has no tables to compare with (0 of 4 measurements exist)") == 1
    assert "compare" not in done.jobs
    assert [path.name for path in (pipeline.directory / "results").iterdir() if path.is_dir()] == ["quick"]
    assert contents(pipeline.directory / "results") == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rerun",), "rerun: which study? snakemake rerun --cores N --config from=results/<study>"),
        (("rerun", "--config", "from=results/other"), "there is no folder results/other"),
        pytest.param(("rerun", *FROM, "on_failure=stop"), "on_failure is set too", marks=pytest.mark.slow),
        pytest.param(("replan", *FROM), "a rerun uses its own pins and plan", marks=pytest.mark.slow),
    ],
)
def test_a_mistake_is_one_line(pipeline: Pipeline, arguments: tuple[str, ...], says: str) -> None:
    done = pipeline.snakemake("-n", *arguments, configfile=None)
    assert done.returncode == 1
    (line,) = (line for line in done.output.splitlines() if line.startswith(("rerun:", "--config")))
    assert says in line
    assert "Traceback" not in done.output


def check_comparison(results: Path) -> None:
    with (results / "comparison.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 20
    assert {row["output_identical"] for row in rows} == {"True"}
    assert {row["differs"] for row in rows} <= {"", "pipeline"}
    speed = [row for row in rows if row["metric"] == "throughput_output_tokens_per_s"]
    for row in speed:
        ratio, low, high = (float(row[name]) for name in ("ratio", "ratio_ci95_low", "ratio_ci95_high"))
        assert low < ratio < high
        assert row["verdict"] in ("same", "different", "not known")
        assert (row["margin"], row["day_sd"], row["order"]) == ("0.5", "0.005", "new")
        assert ratio == pytest.approx(float(row["new_mean"]) / float(row["old_mean"]), rel=0.1)


def refuse_a_grown_study(pipeline: Pipeline) -> None:
    # Another study of that name, or the old one grown, is not mixed in.
    pipeline.write(study(matrix={"pytorch.batch_size": [1, 3]}))
    assert pipeline.snakemake("validate", "--force").returncode == 0
    done = pipeline.snakemake("rerun", *FROM, configfile=None)
    assert done.returncode == 1
    assert "results/quick-rerun contains a rerun of quick with another plan" in done.output


def put_together(pipeline: Pipeline) -> None:
    """The study and its rerun, from their folders alone."""
    folders = "from=[results/quick, results/quick-rerun]"
    done = pipeline.snakemake("together", "--config", folders, "study=days", configfile=None)
    assert done.returncode == 0, done.output
    assert done.jobs == {"together": 1, "total": 1}
    assert "folder 2: quick-rerun" in done.output and "unlike the others" in done.output
    with (pipeline.results("days") / "together/together.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 20
    assert {(row["folders"], row["n"]) for row in rows if row["metric"] == "throughput_output_tokens_per_s"} == {
        ("2", "4")
    }
    done = pipeline.snakemake("together", "--config", folders, "study=days", configfile=None)
    assert "Nothing to be done" in done.output


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_study_is_repeated_from_its_results_alone(tmp_path: Path) -> None:
    first, second = Pipeline(tmp_path / "first"), Pipeline(tmp_path / "second")
    matrix = {"pytorch.batch_size": [1, 2]}
    first.directory.mkdir()
    first.write(study(matrix=matrix, measurement={"replicates": 2, "min_window_s": 0.3, "seed": 3}, costs={"pue": 1.5}))
    done = first.snakemake()
    assert done.returncode == 0, done.output
    shutil.copytree(first.results(), second.results())
    before = contents(second.results())

    done = second.snakemake("rerun", *FROM, "margin=0.5", configfile=None)
    assert done.returncode == 0, done.output
    assert done.jobs["compare"] == 1
    # The same packages on the same machine: nothing to tell.
    assert "unlike quick" not in done.output
    assert contents(second.results()) == before
    old, new = first.plan(), second.plan("quick-rerun")
    assert new.pop("study") == "quick-rerun"
    own = ("study", "seed", "order")
    assert {name: value for name, value in new.items() if name not in own} == {
        name: value for name, value in old.items() if name not in own
    }
    # The lines of a file stand in the order in which they were measured.
    was, now = measured(first, "quick"), measured(second, "quick-rerun")
    assert (old["order"], was) != (new["order"], now)
    assert sorted(was) == sorted(now)
    assert {record["prompts"]["digest"] for record in first.records()} == {
        record["prompts"]["digest"] for record in second.records("quick-rerun")
    }
    record = json.loads((second.results("quick-rerun") / "provenance/rerun_of.json").read_text("utf-8"))
    assert (record["order"], record["seed"]) == ("new", 3)
    assert {record["output_digest"] for record in first.records()} == {
        record["output_digest"] for record in second.records("quick-rerun")
    }
    results = second.results("quick-rerun")
    check_comparison(results)
    assert "rerun of:       quick · 2 of 2 generated the same tokens" in done.output
    assert "This study repeats" in (results / "report.html").read_text("utf-8")
    with (results / "costs.csv").open(newline="") as lines:
        assert {row["pue"] for row in csv.DictReader(lines)} == {"1.5"}
    written = (second.results() / "provenance" / "study.yaml").read_bytes()
    assert written == (first.directory / "study.yaml").read_bytes()
    assert (results / "provenance" / "study.yaml").read_bytes() == written
    for folder in (second.results(), results):
        crate = ROCrate(folder)
        assert crate.get("summary.csv")["description"]
        assert str(tmp_path) not in (folder / "ro-crate-metadata.json").read_text("utf-8")
    assert ROCrate(results).root_dataset["isBasedOn"]

    done = second.snakemake("rerun", *FROM, "margin=0.5", configfile=None)
    assert done.returncode == 0, done.output
    assert "Nothing to be done" in done.output
    # Another margin measures nothing.
    done = second.snakemake("rerun", *FROM, "margin=0.4", configfile=None)
    assert done.returncode == 0, done.output
    assert "measure" not in done.jobs and done.jobs["compare"] == 1
    put_together(second)
    assert contents(second.results()) == before
    refuse_a_grown_study(second)
