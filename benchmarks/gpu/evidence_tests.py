"""The evidence of settings that only a CUDA device shows, and the memory they take, in the time that is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.part_environment import ENDS_IN
from benchmarks.gpu.scale import Scale, cuda_only

ROOT = Path(__file__).resolve().parents[2]
TESTS = [ROOT / "tests" / "gpu" / f"test_gpu_{name}.py" for name in ("quantizers", "evidence")]
# An interrupted pytest may take so long to write its report; reading it takes the rest.
ENDING_S = 4.0
CLOSING_S = ENDING_S + 2.0
NO_REPORT = "<testsuites/>"


def evidence(scale: Scale) -> dict[str, Any]:
    """How many tests passed, and of the others why they did not; `stopped` where the time was over before the last."""
    cuda_only(scale)
    limit_s = float(os.environ.get(ENDS_IN, "inf")) - CLOSING_S
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        stopped = not run_tests([*command, *map(str, TESTS)], limit_s)
        text = report.read_text(encoding="utf-8") if report.exists() else NO_REPORT
        return {**outcomes(text), "stopped": stopped}


def run_tests(command: Sequence[str], limit_s: float) -> bool:
    """Run pytest; whether it ended by itself.

    It writes its report at its end: at the limit it is interrupted, which ends it within a test, and then killed.
    """
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        process.wait(None if limit_s == float("inf") else max(limit_s, 1.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return False
    return True


def outcomes(report: str) -> dict[str, Any]:
    """From pytest's JUnit report; a test that was interrupted has no name in it."""
    passed, others = [], {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        said = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if said:
            reason = re.sub(r"\s+", " ", said[0].get("message") or "")[:300]
            others[case.get("name")] = f"{said[0].tag}: {reason}"
        elif case.get("name") is None:
            others["one"] = "stopped: the time was over"
        else:
            passed.append(case.get("name"))
    return {"passed": len(passed), "not_passed": others}


QUESTIONS = {"evidence": evidence}
