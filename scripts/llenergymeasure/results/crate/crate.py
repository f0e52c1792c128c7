"""ro-crate-metadata.json: what a results folder holds and how it was made, for machines that do not know the format.

RO-Crate 1.3 with the profile Process Run Crate 0.6. It describes the pipeline with its commit, but the pipeline is not
in the folder. So this is not a Workflow Run Crate, which must contain its workflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rocrate.model import ComputerLanguage, ContextEntity
from rocrate.rocrate import ROCrate

from llenergymeasure.config.settings.sources import SourceIntent, sources_from_intent
from llenergymeasure.records.metrics import METRICS, SUMMARY_METRICS
from llenergymeasure.records.storage.atomic import write_text
from llenergymeasure.records.storage.layout import CRATE, Layout
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.records.study.provenance import Call, InstalledEnvironment, RerunOf
from llenergymeasure.results.crate.file_catalogue import described_files
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.read import read_file, read_lines, read_plan

PROFILE = "https://w3id.org/ro/wfrun/process/0.6"
NO_LICENSE = "No licence is stated. Whoever publishes these results names one."
_FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
_INPUTS = ("provenance/study", "provenance/resolved.yaml", "provenance/models.lock.yaml")


def write_crate(folder: Path) -> None:
    """Describe what is in `folder` now. The file is written as a whole or not at all."""
    write_text(json.dumps(describe_crate(folder), indent=1, ensure_ascii=False) + "\n", Layout(folder).crate)


def describe_crate(folder: Path) -> dict[str, Any]:
    """The JSON-LD. Nothing in it is a path outside the folder."""
    layout = Layout(folder)
    plan = read_plan(layout.plan, [], [])
    calls = _calls(layout.calls)
    crate = ROCrate()
    root = crate.root_dataset
    crate.name = f"{plan.study}: energy, time and memory of ways of running a language model"
    crate.description = (
        f"{len(plan.experiments)} experiments over {len(plan.sessions)} sessions, measured by llenergymeasure. "
        "Times are in seconds, energy in joules, memory in bytes; the unit is part of each column's name."
    )
    root["license"] = NO_LICENSE
    root["conformsTo"] = [_add(crate, PROFILE, "CreativeWork", name="Process Run Crate", version="0.6")]
    root["variableMeasured"] = [_metric(crate, name) for name in SUMMARY_METRICS]
    files = _files(crate, folder, described_files())
    inputs = [entity for path, entity in files.items() if path.startswith(_INPUTS)]
    action = _add(
        crate,
        "#measuring",
        "CreateAction",
        name=f"Measuring the study {plan.study}",
        description=f"provenance/calls.jsonl lists the calls of snakemake, {len(calls)} in all",
        startTime=calls[0].started,
        endTime=datetime.now(UTC).isoformat(timespec="seconds"),
        actionStatus="http://schema.org/CompletedActionStatus",
        instrument=_pipelines(crate, folder, calls),
        object=[*inputs, *_models(crate, plan)],
        result=[entity for path, entity in files.items() if not path.startswith(_INPUTS)],
    )
    root["mentions"] = [action]
    if layout.rerun_of.exists():
        repeated = read_file(RerunOf, layout.rerun_of)
        root["isBasedOn"] = [
            _add(
                crate,
                "#rerun-of",
                "CreativeWork",
                name=f"The study {repeated.study}, which this one measures again",
                identifier=repeated.plan_digest,
            )
        ]
    metadata: dict[str, Any] = crate.metadata.generate()
    return metadata


def _files(crate: ROCrate, folder: Path, described: Mapping[str, str]) -> dict[str, Any]:
    """The files that exist, of all that may exist."""
    entities = {}
    for path, text in described.items():
        place = folder / path
        if path == CRATE.pattern or not place.exists():
            continue
        properties = {"name": path, "description": text}
        if path.endswith("/"):
            entities[path] = crate.add_dataset(place, path, properties=properties)
            continue
        properties["contentSize"] = str(place.stat().st_size)
        if place.suffix in _FORMATS:
            properties["encodingFormat"] = _FORMATS[place.suffix]
        entities[path] = crate.add_file(place, path, properties=properties)
    return entities


def _pipelines(crate: ROCrate, folder: Path, calls: Sequence[Call]) -> list[Any]:
    """The pipeline, once per commit that it ran from."""
    language = crate.add(
        ComputerLanguage(
            crate,
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
            properties={"name": "Snakemake", "url": "https://snakemake.readthedocs.io"},
        )
    )
    packages = _packages(crate, Layout(folder).environments)
    commits: dict[str | None, bool] = {}
    for call in calls:
        commits[call.git_commit] = commits.get(call.git_commit, False) or bool(call.git_dirty)
    return [
        _add(
            crate,
            f"#llenergymeasure-{commit or 'unknown'}",
            ["SoftwareSourceCode", "ComputationalWorkflow"],
            name="llenergymeasure",
            description="The pipeline, a Snakefile with its rules and scripts"
            + (", with changes that were not committed" if dirty else ""),
            version=commit or "unknown",
            programmingLanguage=language,
            softwareRequirements=packages,
        )
        for commit, dirty in commits.items()
    ]


def _packages(crate: ROCrate, folder: Path) -> list[Any]:
    """Python and every distribution, over all environments that measured."""
    versions: dict[tuple[str, str], None] = {}
    for path in sorted(folder.glob("*.json")):
        environment = read_file(InstalledEnvironment, path)
        versions[("Python", environment.python)] = None
        versions.update(dict.fromkeys(environment.packages.items()))
    return [
        _add(
            crate,
            f"#{name}-{version}",
            "SoftwareApplication",
            name=name,
            softwareVersion=version,
            url="https://www.python.org" if name == "Python" else f"https://pypi.org/project/{name}/",
        )
        for name, version in versions
    ]


def _models(crate: ROCrate, plan: Plan) -> list[Any]:
    sources: Iterable[SourceIntent] = dict.fromkeys(
        source for entry in plan.experiments.values() for source in sources_from_intent(entry.config)
    )
    by_key = {source.key: source for source in sources}
    return [
        _add(crate, f"#model-{key}", "CreativeWork", additionalType="language model", **_model(source))
        for key, source in by_key.items()
    ]


def _model(source: SourceIntent) -> dict[str, Any]:
    ref, revision = source.ref, source.revision
    if ref.kind == "folder":
        # The path means nothing on other machines.
        return {"name": source.key, "description": "A local folder; its content is in each record's `snapshot`."}
    url = {
        "hub": f"https://huggingface.co/{ref.name}/tree/{revision}",
        "package": f"https://pypi.org/project/{ref.distribution}/{revision}/",
    }.get(ref.kind)
    return {"name": ref.text, **({"version": revision} if revision else {}), **({"url": url} if url else {})}


def _metric(crate: ROCrate, name: str) -> Any:
    metric = METRICS[name]
    return _add(
        crate,
        f"#metric-{name}",
        "PropertyValue",
        propertyID=name,
        name=metric.label,
        description=metric.definition,
        unitText=metric.unit,
    )


def _add(crate: ROCrate, at: str, kind: str | list[str], /, **properties: Any) -> Any:
    return crate.add(ContextEntity(crate, at, properties={"@type": kind, **properties}))


def _calls(path: Path) -> list[Call]:
    calls = [call for _, call in read_lines(Call, path, "delete it and run again")]
    if not calls:
        raise ResultsError(f"{path} is empty; delete it and run again")
    return calls
