"""The steps that hold no model run with the packages of the light lock, and no others."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

import pytest
from harness import ROOT

from llenergymeasure.config import CostsConfig
from llenergymeasure.config.settings.costs import intensity_from_costs
from llenergymeasure.config.settings.grid_intensity import TABLE
from llenergymeasure.docs_pages.grid_table import grid_table

# What Python imports of packages that the lock lacks fails, as it would in the environment.
ONLY_LOCKED = """
import importlib, json, sys
from importlib.metadata import packages_distributions
locked, modules = json.loads(sys.argv[1])
plain = lambda name: name.lower().replace("_", "-").replace(".", "-")
foreign = {top for top, names in packages_distributions().items() if not {plain(name) for name in names} & set(locked)}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign:
            raise ModuleNotFoundError(f"{name} is not in the light lock", name=name)

sys.meta_path.insert(0, Refuse())
for module in modules:
    importlib.import_module(module)
"""


def locked() -> list[str]:
    text = (ROOT / "envs/locks/light.txt").read_text(encoding="utf-8")
    return [name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)]


def scripts_in_the_light_environment() -> list[str]:
    """Script names of the rules whose `conda:` is light.yaml."""
    names = []
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"\n(?=rule |checkpoint |use )", file.read_text(encoding="utf-8")):
            if "envs/light.yaml" in rule and (script := re.search(r"scripts/(\w+\.py)", rule)):
                names.append(script[1])
    return names


def imported_by(script: str) -> list[str]:
    tree = ast.parse((ROOT / "scripts" / script).read_text(encoding="utf-8"))
    return [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]


def test_every_script_of_a_light_rule_can_be_imported() -> None:
    scripts = scripts_in_the_light_environment()
    assert {"pin.py", "costs.py", "report.py", "crate.py"} <= set(scripts)
    modules = {module for script in scripts for module in imported_by(script)}
    # Imported when a hub is asked.
    modules |= {"huggingface_hub.hf_api", "huggingface_hub.errors"}
    # Snakemake is in no lock of its own; where it renders code for `--report` it needs this.
    modules |= {"pygments.lexers"}
    done = subprocess.run(
        [sys.executable, "-c", ONLY_LOCKED, json.dumps([locked(), sorted(modules)])],
        env={"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_countries_are_those_of_codecarbon() -> None:
    assert TABLE.read_text(encoding="utf-8") == grid_table(), "make pages"


def test_a_country_needs_no_codecarbon() -> None:
    intensity = intensity_from_costs(CostsConfig(country_iso_code="DEU"))
    assert intensity is not None and intensity.kg_per_kwh == 0.38095
    assert re.fullmatch(r"DEU, codecarbon [\d.]+, global energy mix, 2023", intensity.source)
    with pytest.raises(LookupError, match="has no carbon intensity for 'ZZZ'"):
        intensity_from_costs(CostsConfig(country_iso_code="ZZZ"))
