"""What each tool says of an experiment, as one kind of answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# How `llem run` prints each reason for not running.
REFUSAL = re.compile(r"^\s*✗\s+(?P<reason>[A-Za-z].*)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """generate_s: seconds of the measured calls together, by the tool's own stamps.

    energy: its figure for them in joules, with source and uncertainty as the tool states them
    largest_process_mib: most resident memory of one of its processes; None where the answer does not say
    outputs: the token ids that a call generated, by prompt; None where the answer does not say
    """

    generate_s: float
    energy: str
    largest_process_mib: float | None = None
    outputs: Sequence[Sequence[int]] | None = None


def answer_from_script(result: Mapping[str, Any]) -> Answer:
    """A window of ZeusMonitor, or none around a bare script: joules by device, no source, no uncertainty."""
    devices = result["energy_j"]
    by_device = ", ".join(f"{joules:.3g} J ({device})" for device, joules in devices.items())
    energy = f"{by_device}; no source, no uncertainty" if devices else "no figure and no word why"
    return Answer(result["generate_s"], energy, result["largest_process_mib"], result["outputs"])


def answer_from_original(result: Mapping[str, Any]) -> Answer:
    energy = result["energy"]
    said = f'{energy["joules"]:.3g} J, with the note "{energy["note"]}"'
    return Answer(result["generate_s"], said, result["largest_process_mib"])


def answer_from_optimum(result: Mapping[str, Any]) -> Answer:
    joules = result["joules_per_call"]
    said = "not asked for" if joules is None else f"{joules:.3g} J per call; no source, no uncertainty"
    return Answer(result["generate_s"], said, result["largest_process_mib"])


def answer_from_record(record: Mapping[str, Any], largest_process_mib: float | None = None) -> Answer:
    """A line of our own measurements.jsonl.

    Raises:
        ValueError: the experiment failed, or its window is missing.
    """
    window = [entry for entry in record["energy"] if entry["phase"] == "generate"]
    if record["status"] != "ok" or not window:
        raise ValueError(f"not measured: {record['status']}, {record['failure']}")
    joules = [entry["energy_j"] for entry in window if entry["energy_j"] is not None]
    half = [entry["expanded_uncertainty_j"] for entry in window if entry["energy_j"] is not None]
    if "estimated:" in (record["energy_source"] or ""):
        doubt = "an estimate that follows from time and load, so no interval"
    else:
        doubt = f"± at most {math.fsum(half):.2g} J (95 %)" if half and None not in half else "no uncertainty stated"
    said = f"{math.fsum(joules):.3g} J, {record['energy_source']}, {doubt}" if joules else window[0]["reason"]
    return Answer(window[0]["duration_s"], said, largest_process_mib)


def refusal(output: str) -> str | None:
    """Why `llem run` did not measure; None where it did."""
    match = REFUSAL.search(output)
    return match["reason"].strip() if match else None
