"""README's picture of a report, with simulated figures. In the repository's root, where Chromium is installed:

PYTHONPATH=scripts:tests .venv/bin/python tests/results/picture.py
"""

from __future__ import annotations

import subprocess
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from harness import ROOT
from results.report.test_report_in_browser import CHROMIUM
from results.study_folder import MEASURED, study_folder

from llenergymeasure.results.report.page import write_report

PICTURE = ROOT / "docs" / "report.png"
SIZE = "1280,860"


def throttle(record: dict[str, Any]) -> None:
    reason = {
        "code": "throttled",
        "severity": "suspect",
        "message": "GPU-7f3e was held back by heat for 3.1 % of the window",
    }
    record["validity"] = {"verdict": "suspect", "reasons": [reason]}


def on_a_board(record: dict[str, Any]) -> None:
    record["boundary"] = "gpu"


def main() -> None:
    assert CHROMIUM is not None, "Chromium is needed: apt-get install chromium"
    with tempfile.TemporaryDirectory() as folder:
        study = study_folder(
            Path(folder) / "example",
            defaults={"model": "random:llama?hidden_size=2048&num_hidden_layers=16", "precision": "bf16"},
            matrix={
                "pytorch.attn_implementation": ["sdpa", "eager"],
                "pytorch.batch_size": [1, 4, 8],
                "pytorch.load_in_8bit": [None, True],
            },
            exclude=[{"pytorch.attn_implementation": "eager", "pytorch.load_in_8bit": True}],
            replicates=5,
            source=MEASURED,
        )
        study.change(3, 2, throttle)
        for place, replicate in product(range(len(study.ids)), range(1, 6)):
            study.change(place, replicate, on_a_board)
        page = Path(folder) / "report.html"
        write_report(study.results(), page)
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}"]
        subprocess.run([CHROMIUM, *options, f"--screenshot={PICTURE}", str(page)], check=True, capture_output=True)


if __name__ == "__main__":
    main()
