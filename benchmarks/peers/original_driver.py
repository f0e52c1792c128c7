"""Runs the harness of the llenergymeasure on PyPI, inside its own environment: `python original_driver.py`.

Its command, `llem run`, refuses a machine without CUDA in the process that measures, whatever `--skip-preflight` says;
the harness behind that check runs there. It is called as the command's worker calls it, without the check, without the
baseline (which needs a board) and without the pause of at least 30 s after the warm-up.

A line of standard input is one experiment as in its own study file, in JSON. A line of standard output that begins with
RESULT is its answer: the seconds of the measured calls together by its own stamps, and its joules with what it says of
them.
"""

from __future__ import annotations

import json
import resource
import sys


def run(wanted: dict) -> dict:
    from llenergymeasure.config.models import ExperimentConfig
    from llenergymeasure.engines import get_engine
    from llenergymeasure.harness import MeasurementHarness, lifecycle

    lifecycle.thermal_floor_wait = lambda _: 0.0
    config = ExperimentConfig.model_validate(wanted)
    result = MeasurementHarness().run(get_engine(config.engine), config, gpu_indices=[0])
    latency = result.extended_metrics.request_latency
    # A request's latency there is the call's over the size of the batch, so they sum up to the calls' seconds.
    seconds = latency.e2e_latency_mean_ms * latency.e2e_latency_samples / 1e3
    energy = {"joules": result.total_energy_j, "note": result.reproducibility_notes}
    return {"generate_s": seconds, "energy": energy, "largest_process_mib": largest_process_mib()}


def largest_process_mib() -> float:
    """Most resident memory so far, of this process or of one that it started and that has ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024


def main() -> None:
    for line in sys.stdin:
        print("RESULT", json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
