"""The evidence of settings that only a CUDA device shows: tests/gpu/test_gpu_evidence.py, in the time that is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.scale import Scale, cuda_only
from benchmarks.gpu.told import ENDS_IN

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "gpu" / "test_gpu_evidence.py"
CLOSING_S = 5.0


def evidence(scale: Scale) -> dict[str, Any]:
    """How many tests passed, and of the others why they did not."""
    cuda_only(scale)
    limit_s = float(os.environ.get(ENDS_IN, "inf")) - CLOSING_S
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(TESTS)]
        # pytest writes its report at the end, so it is asked to end before it would be killed.
        command += [f"--session-timeout={limit_s:.0f}"] if limit_s < float("inf") else []
        subprocess.run(command, cwd=ROOT, check=False)
        return outcomes(report.read_text(encoding="utf-8"))


def outcomes(report: str) -> dict[str, Any]:
    """From pytest's JUnit report."""
    passed, others = [], {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        said = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if said:
            reason = re.sub(r"\s+", " ", said[0].get("message") or "")[:300]
            others[case.get("name")] = f"{said[0].tag}: {reason}"
        else:
            passed.append(case.get("name"))
    return {"passed": len(passed), "not_passed": others}


QUESTIONS = {"evidence": evidence}
