"""The ten data sets that R and our analysis are both asked about: `python -m results.statistics.oracle.data_sets`.

They are written by the benchmark's generator, which shares no code with the analysis, and kept as files so that R can
read them. Each has the reference 0.0.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from benchmarks.verdicts.studies import Design, simulate_study

FOLDER = Path(__file__).parent / "data"
COLUMNS = ("experiment", "session", "replicate", "value")


def _gone(replicates: int, *experiments: str) -> dict[str, frozenset[int]]:
    """Experiments that the design's grid has and the study does not."""
    return dict.fromkeys(experiments, frozenset(range(1, replicates + 1)))


BALANCED: Mapping[str, Design] = {
    "one_setup": Design(1, 4, 5, effects={"0.1": 1.01, "0.3": 1.03}),
    "one_experiment_each": Design(4, 1, 5, effects={"1.0": 1.02}),
    "split_plot": Design(2, 3, 6, effects={"0.1": 1.01, "1.0": 1.02}),
    "large_process": Design(3, 4, 3, process_sd=0.05, effects={"2.1": 0.97}),
    "blocks": Design(4, 2, 6, block_sd=0.03, effects={"1.1": 1.02}),
    "pair_in_blocks": Design(2, 1, 10, block_sd=0.02, effects={"1.0": 1.02}),
    "unequal_scatter": Design(4, 1, 6, setup_spread={0: 5.0}),
}
UNBALANCED: Mapping[str, Design] = {
    "missing_runs": Design(2, 3, 6, missing={"0.0": frozenset({2}), "0.2": frozenset({2, 5}), "1.1": frozenset({1})}),
    "missing_processes": Design(
        4,
        2,
        5,
        missing={name: frozenset({replicate}) for name, replicate in (("1.0", 2), ("1.1", 2), ("3.0", 4), ("3.1", 4))},
    ),
    "uneven_setups": Design(
        3, 4, 5, block_sd=0.01, missing={**_gone(5, "1.1", "1.2", "1.3", "2.2", "2.3"), "0.1": frozenset({3})}
    ),
}


def write_data_sets(folder: Path) -> None:
    for name, design in {**BALANCED, **UNBALANCED}.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for run in simulate_study(design, rng):
                writer.writerow([run.experiment, run.session, run.replicate, f"{run.observed:.6f}"])


def read_sessions(name: str) -> dict[str, dict[str, dict[int, float]]]:
    """Of a data set: session → experiment → replicate → figure."""
    sessions: dict[str, dict[str, dict[int, float]]] = {}
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            figures = sessions.setdefault(row["session"], {}).setdefault(row["experiment"], {})
            figures[int(row["replicate"])] = float(row["value"])
    return sessions


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write_data_sets(FOLDER)
