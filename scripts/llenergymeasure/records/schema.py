"""Which version of the results' files this program writes and reads, and the message about another version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from llenergymeasure import __version__

# Wrote every version up to this one; those after it come from unreleased commits or later releases.
FIRST_RELEASE, FIRST_RELEASE_SCHEMA = "0.1.0", 3
# Rises when a key, a column or a path under results/ is renamed, changes its meaning or goes. What each one brought:
#   1  plan, load records, calibrations and measurements; a plan counted its own versions until 4
#   2  budgets of the energy figures, the comparison of outputs, validity with its reasons
#   3  digests of what a setting only names (`inputs`, `weights`), quantized weights, which devices were drawn
#   4  session_id and sessions/ (were batch_id, batches/), setup_id and setups/ (load_id, loads/), interim/ (looks/),
#      output_match (answer), tpot_s (the mean itl_s), _expanded95 (_u95), summary.txt (answer.txt); a failed
#      measurement has every key
#   5  ttft_s and e2e_latency_s from submission (from the start of the batch: service_ttft_s, service_e2e_latency_s),
#      the boundary of a run's energy, domain dram (was ram), energy per domain
SchemaVersion = Literal[5]
SCHEMA_VERSION: SchemaVersion = get_args(SchemaVersion)[0]


def other_schema(path: Path, record: Any, advice: str | None = None) -> str | None:
    """One line that says that `record`, read from `path`, has another schema, and what to do; None for this schema.

    Also None where it names no schema: then it is not a record. advice: None for results that are to be continued
    """
    if not isinstance(record, Mapping) or record.get("schema_version", SCHEMA_VERSION) == SCHEMA_VERSION:
        return None
    written = record["schema_version"]
    study = _study_folder(path)
    commit = last_commit(study)
    older = isinstance(written, int) and written <= FIRST_RELEASE_SCHEMA
    writer = f"llenergymeasure {FIRST_RELEASE}" if older else "another llenergymeasure"
    at = f" at commit {commit[:12]}" if commit else ""
    remedy = f"{advice}; use" if advice else f"move {study} away, or delete it, and run again; or use"
    return (
        f"{path} has schema version {written!r:.20}, written by {writer}{at}; this one ({__version__}) reads "
        f"{SCHEMA_VERSION}: {remedy} the version that wrote it"
    )


def refuse_other_schema(*paths: Path) -> str | None:
    """What `other_schema` says of the first of these files that is a record of another schema; None where none is."""
    for path in paths:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if refusal := other_schema(path, record):
            return refusal
    return None


def _study_folder(path: Path) -> Path:
    """The folder of the study that a file belongs to."""
    marks = ("plan.json", "plan/index.json")
    return next((folder for folder in path.parents if any((folder / mark).exists() for mark in marks)), path.parent)


def last_commit(study: Path) -> str | None:
    """The pipeline's commit in the last call that the study's folder records, whatever its schema; None if unknown."""
    try:
        last = (study / "provenance" / "calls.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        commit = json.loads(last)["git_commit"]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return commit if isinstance(commit, str) else None
