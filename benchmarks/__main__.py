"""`make bench`: every measured claim is a module here that prints a ratio and fails when the claim does not hold."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "generation_overhead",
    "pipeline_overhead",
    "peer_comparison",
    "dry_run",
    "aggregation",
    "energy_accuracy",
    "part_time_sensor",
    "metering_overhead",
    "equal_warmth",
    "difference_detection",
    "verdicts",
    "sequential_stopping",
    "rerun_verdicts",
    "gpu_energy",
)


def main() -> int:
    chosen = sys.argv[1:] or BENCHMARKS
    failed = [name for name in chosen if not importlib.import_module(f"benchmarks.{name}").main()]
    missed = f"; not: {', '.join(failed)}" if failed else ""
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} claims hold{missed}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
