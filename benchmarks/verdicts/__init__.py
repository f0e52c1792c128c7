"""Claims: what a study says of its configurations is wrong, and misses what is true, no oftener than the limits allow.

500 simulated studies per row, 1,000 of a pair and 2,000 of unequal scatter, go through the functions that fill the
summary and the report. The generator (`studies.py`) writes plain rows of known truth and shares no code with the
analysis or its tests. The rows are the cases in which verdicts are known to fail: gains that do not cancel, unequal
scatter, blocks, disturbed and missing replicates, and the interval of a winner. Rows without a limit show how much data
hurt that no model describes.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

SEED = 20261129


def main() -> bool:
    from benchmarks.verdicts.rows import CLAIMS

    began = time.monotonic()
    held = True
    # Started fresh: a fork would inherit the threads of the benchmarks before.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for (words, claim), share in zip(CLAIMS.items(), pool.map(share_of_studies, CLAIMS), strict=True):
            missed = "" if claim.holds(share) else ": MISSED"
            print(f"verdicts: {words} in {share:.1%} of {claim.studies} studies ({claim.limit}){missed}", flush=True)
            held = held and claim.holds(share)
    print(f"verdicts: {len(CLAIMS)} rows in {time.monotonic() - began:.0f} s")
    return held


def share_of_studies(words: str) -> float:
    """Share of the claim's studies that count; each claim has its own seed, so that a new one changes no other."""
    import numpy as np

    from benchmarks.verdicts.rows import CLAIMS
    from benchmarks.verdicts.studies import simulate_study

    claim = CLAIMS[words]
    rng = np.random.default_rng([SEED, zlib.crc32(words.encode())])
    return sum(claim.event(simulate_study(claim.design, rng)) for _ in range(claim.studies)) / claim.studies


if __name__ == "__main__":
    raise SystemExit(not main())
