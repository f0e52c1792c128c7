"""The tables of config/README.md, docs/energy.md and docs/verdicts.md, generated from the models and catalogues.

python -m llenergymeasure.docs_pages.reference     (with scripts/ on PYTHONPATH)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llenergymeasure.config.introspection import get_validation_rules
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.settings.costs import CostsConfig
from llenergymeasure.config.settings.decoder import PRESETS
from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.parameter import Parameter
from llenergymeasure.config.settings.protocol import MeasurementConfig
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import sections
from llenergymeasure.config.settings.study_config import StudyConfig
from llenergymeasure.config.settings.type_words import wanted, when_not_set
from llenergymeasure.docs_pages.schema import ROOT
from llenergymeasure.records.findings import FINDINGS
from llenergymeasure.records.meters import METERS
from llenergymeasure.records.severity import INVALID, SUSPECT, WARNING, Severity

README = ROOT / "config" / "README.md"
ENERGY_PAGE = ROOT / "docs" / "energy.md"
VERDICTS_PAGE = ROOT / "docs" / "verdicts.md"
# Tables of these pages that other code fills: benchmarks/gpu/page.py.
_OF_OTHERS = frozenset({"boards"})
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class UnknownTable(Exception):
    """The page asks for a table that does not exist."""


def with_fresh_tables(text: str) -> str:
    """The page with every block between `<!-- generated: name -->` and `<!-- end -->` generated again."""
    tables = all_tables()

    def fill(block: re.Match[str]) -> str:
        name = block["name"]
        if name in _OF_OTHERS:
            return block[0]
        if name not in tables:
            raise UnknownTable(f"no table {name!r}; there are {', '.join(tables)}")
        return f"{block[1]}{tables[name]}\n{block[3]}"

    return _BLOCK.sub(fill, text)


def table_names(text: str) -> list[str]:
    """Names of the generated blocks on a page, in order."""
    return [block["name"] for block in _BLOCK.finditer(text)]


def all_tables() -> Mapping[str, str]:
    """Every table by name, as Markdown."""
    top = [name for name in ExperimentSettings.model_fields if name not in sections()]
    tables = {
        "study": _keys(StudyConfig, list(StudyConfig.model_fields), ""),
        "measurement": _keys(MeasurementConfig, list(MeasurementConfig.model_fields), "measurement"),
        "costs": _keys(CostsConfig, list(CostsConfig.model_fields), "costs"),
        "experiment": _keys(ExperimentSettings, top, ""),
        "presets": _presets(),
        "rules": _rules(),
        "meters": _meters(),
        "energy-sources": _energy_sources(),
        "findings": _findings(INVALID, SUSPECT),
        "warnings": _findings(WARNING),
    }
    for name, model in sections().items():
        tables[name] = _keys(model, list(model.model_fields), name)
    return tables


def _keys(model: type[BaseModel], names: list[str], section: str) -> str:
    rows = []
    for name in names:
        field = model.model_fields[name]
        path = f"{section}.{name}" if section else name
        text = " ".join((field.description or "").split())
        declared = parameters().get(path)
        if declared is not None:
            text += f" {_mapping(declared)}"
        rows.append([f"`{name}`", wanted(field), _default(field), text])
    return _table(["key", "accepts", "default", "meaning"], rows)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "not set"
    return "" if isinstance(value, BaseModel | dict | list) else f"`{show(value)}`"


def _mapping(item: Parameter) -> str:
    where = {
        "from_pretrained": f"`from_pretrained({item.keyword}=…)`",
        "bitsandbytes": f"`BitsAndBytesConfig({item.keyword}=…)`",
        "generate": f"`generate({item.keyword}=…)`",
        "distributed": f"`DistributedConfig({item.keyword}=…)`",
        "load_adapter": f"`model.load_adapter({item.keyword}=…)`",
        "compile": f"`model.compile({item.keyword}=…)`",
        "runtime": f"`{item.keyword}`",
    }[item.target]
    if item.default is not None:
        return f"→ {where}"
    return f"→ {where}; not set: {when_not_set(item)}"


def _presets() -> str:
    keys = list(dict.fromkeys(key for values in PRESETS.values() for key in values))
    rows = [
        [f"`{name}`", *(f"`{show(values[key])}`" if key in values else "" for key in keys)]
        for name, values in PRESETS.items()
    ]
    return _table(["preset", *(f"`{key}`" for key in keys)], rows)


def _rules() -> str:
    rows = [
        [f"`{rule['id']}`", rule["severity"], rule["message"], rule["fix"]]
        for rule in sorted(get_validation_rules(), key=lambda rule: (rule["severity"], rule["id"]))
    ]
    return _table(["id", "severity", "what is wrong", "what to change"], rows)


def _meters() -> str:
    rows = [
        [
            f"`{entry.name}`",
            entry.covers,
            "yes" if entry.at_intervals else "no",
            "wherever it works" if entry.needs is None else f"only where a study names it; {entry.needs}",
        ]
        for entry in METERS.values()
    ]
    return _table(["meter", "what it covers", "read at intervals", "opened"], rows)


def _energy_sources() -> str:
    rows = [[f"`{source.name}`", source.covers, source.how] for entry in METERS.values() for source in entry.sources]
    return _table(["source", "what it covers", "how"], rows)


def _findings(*severities: Severity) -> str:
    """The kinds of finding with these severities, the worst first."""
    kinds = [(code, kind) for severity in severities for code, kind in FINDINGS.items() if kind.severity == severity]
    rows = [[f"`{code}`", kind.severity, kind.meaning, kind.advice] for code, kind in kinds]
    return _table(["code", "severity", "when", "what to do"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def main(arguments: list[str]) -> None:
    for page in [Path(arguments[0])] if arguments else [README, ENERGY_PAGE, VERDICTS_PAGE]:
        page.write_text(with_fresh_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
