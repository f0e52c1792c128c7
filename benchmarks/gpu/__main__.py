"""`make gpu-acceptance`: check in under ten minutes that one NVIDIA board does what the pipeline assumes.

python3 -m benchmarks.gpu [--out FOLDER] [--rehearsal] [--no-wheels] [--only NAME,NAME] [--seconds N]

Run it in the repository's root.

Needs Python 3.12 with torch and transformers, and no network: packages in .whl/ (`make gpu-wheels`) are installed into
a temporary folder. Prints a table of limits and writes <board>.json into the folder, by default benchmarks/gpu/results
or what OUT names. Ends within 570 s, or what --seconds says. --only runs some of the parts and writes
<board>-partial.json; such a run is never an acceptance. With --rehearsal the processor and a simulated NVML library
stand in for the board; the file says so. Exit code 0: every limit holds.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BEGUN_S = time.monotonic()
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.gpu.document import Document  # noqa: E402
from benchmarks.gpu.limits import all_hold, judge  # noqa: E402
from benchmarks.gpu.part_environment import OUT  # noqa: E402
from benchmarks.gpu.parts import WHEELS, NoSuchPart, choose_parts, not_asked_for, part_names  # noqa: E402
from benchmarks.gpu.rehearsal import simulated_board  # noqa: E402
from benchmarks.gpu.schedule import LEAST_TOTAL_S, LOG, Schedule  # noqa: E402
from benchmarks.gpu.table import table  # noqa: E402

TOTAL_S = 570.0
RESULTS = ROOT / "benchmarks" / "gpu" / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or RESULTS), help="folder of the JSON")
    parser.add_argument("--rehearsal", action="store_true", help="without a board; the JSON says so")
    parser.add_argument("--no-wheels", action="store_true", help="everything is installed; leave .whl/ alone")
    parser.add_argument("--only", metavar="NAME,NAME", help="these parts, after those that every run needs")
    parser.add_argument("--seconds", type=float, default=TOTAL_S, metavar="N", help="end within N seconds")
    asked = parser.parse_args()
    wheels = [] if asked.no_wheels else sorted(WHEELS.glob("*.whl"))
    try:
        only = None if asked.only is None else part_names(asked.only, wheels)
    except NoSuchPart as error:
        return _refuse(str(error))
    if not LEAST_TOTAL_S <= asked.seconds < float("inf"):
        return _refuse(f"--seconds {asked.seconds:g} leaves no time for any part; at least {LEAST_TOTAL_S:g}")
    out: Path = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / LOG).unlink(missing_ok=True)
    document = Document(
        out, rehearsal=asked.rehearsal, taken=_today(), commit=_commit(), only=only, total_s=asked.seconds
    )
    with tempfile.TemporaryDirectory(prefix="gpu-acceptance-") as name:
        environment = _environment(out)
        if asked.rehearsal:
            environment |= simulated_board(Path(name, "driver"))
        schedule = Schedule(document, total_s=asked.seconds, begun_s=BEGUN_S, environment=environment, directory=ROOT)
        parts = choose_parts(Path(name), wheels, rehearsal=asked.rehearsal, only=only)
        schedule.run(parts, lambda: _finish(document))
    return 0 if document.content["accepted"] else 1


def _refuse(reason: str) -> int:
    print(f"gpu-acceptance: {reason}", file=sys.stderr)
    return 2


def _finish(document: Document) -> None:
    """Judge, write for the last time, and print."""
    content = document.content
    content["parts"] |= not_asked_for(content["only"])
    verdicts = judge(content["parts"], rehearsal=content["rehearsal"])
    content["verdicts"] = [verdict.to_dict() for verdict in verdicts]
    content["accepted"] = all_hold(verdicts, rehearsal=content["rehearsal"])
    content["seconds"] = round(time.monotonic() - BEGUN_S, 1)
    document.write()
    print(f"\n{table(content, verdicts)}\n{document.path}", flush=True)


def _environment(out: Path) -> dict[str, str]:
    """For every part: one board, no network, this code, and where the study's results go."""
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    one_board = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}
    path = [str(ROOT), str(ROOT / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **quiet,
        **one_board,
        "PYTHONPATH": os.pathsep.join(path),
        OUT: str(out),
    }


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _commit() -> str | None:
    """Of this checkout; None where git or its folder is missing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
