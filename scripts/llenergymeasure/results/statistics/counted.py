"""Which runs the figures of a study rest on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llenergymeasure.records.severity import SUSPECT

# With fewer undisturbed replicates than this, an experiment's suspect ones count too: one says nothing of the scatter.
FEWEST = 2


def counted(runs: pd.DataFrame, with_suspects: bool = False) -> NDArray[np.bool_]:
    """Mask of the runs that count: those that gave figures, without the suspect ones where two others remain."""
    good = (runs["status"] == "ok").to_numpy(bool)
    if with_suspects:
        return good
    undisturbed = good & ~(runs["validity"] == SUSPECT).fillna(False).to_numpy(bool)
    remaining = pd.Series(undisturbed).groupby(runs["experiment_id"].to_numpy()).transform("sum").to_numpy()
    mask: NDArray[np.bool_] = np.where(remaining >= FEWEST, undisturbed, good)
    return mask


def counted_rows(rows: Sequence[tuple[str, str, str | None]]) -> list[bool]:
    """As `counted`, of runs given as experiment_id, status and validity."""
    runs = pd.DataFrame(rows, columns=["experiment_id", "status", "validity"], dtype="string")
    return [bool(counts) for counts in counted(runs)]


def measured_in_blocks(runs: pd.DataFrame) -> bool:
    """Whether every measurement of a replicate began before any of the next one, by the clock of the machine.

    Replicates of which nothing was measured are passed over.
    """
    begun = runs["begun_unix_s"].to_numpy(np.float64, na_value=np.nan)
    spans = pd.DataFrame({"replicate": runs["replicate"].to_numpy(), "begun": begun}).dropna().groupby("replicate")
    first, last = spans["begun"].min().to_numpy(), spans["begun"].max().to_numpy()
    return bool(len(first) > 1 and np.all(last[:-1] < first[1:]))
