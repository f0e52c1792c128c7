"""The line a watcher sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from llenergymeasure.results.progress import progress_line

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def test_a_line_says_where_we_are_how_fast_and_how_long_still() -> None:
    line = progress_line(
        7,
        24,
        replicate=1,
        label="batch_size=4 attn=eager",
        tokens_per_s=52.13,
        joules_per_token=0.8123,
        source="estimated:codecarbon",
        left_s=178.0,
    )
    assert line == (
        "[7/24] replicate 1 · batch_size=4 attn=eager · 52.1 output tokens/s · 0.812 J/token (estimated) · "
        "about 3 min left"
    )


def test_unknown_figures_are_said_to_be_unknown() -> None:
    line = progress_line(
        24, 24, replicate=3, label="a", tokens_per_s=5.0, joules_per_token=None, source=None, left_s=0.0
    )
    assert line == "[24/24] replicate 3 · a · 5.0 output tokens/s · energy unknown · all measured"
    line = progress_line(
        1, 2, replicate=1, label="a", tokens_per_s=None, joules_per_token=None, source=None, left_s=None
    )
    assert line == "[1/2] replicate 1 · a · no figures · time left unknown"


def test_time_left_is_in_a_unit_for_people() -> None:
    ends = {
        left_s: progress_line(
            1, 9, replicate=1, label="a", tokens_per_s=1.0, joules_per_token=None, source=None, left_s=left_s
        ).rsplit(" · ", 1)[-1]
        for left_s in (0.2, 42.0, 600.0, 9000.0)
    }
    assert list(ends.values()) == ["about 1 s left", "about 42 s left", "about 10 min left", "about 2.5 h left"]


def test_a_label_can_not_steer_the_terminal() -> None:
    line = progress_line(
        1, 2, replicate=1, label="a\x1b[2J\nb", tokens_per_s=None, joules_per_token=None, source=None, left_s=1.0
    )
    assert "\x1b" not in line
    assert "\n" not in line


def test_the_manager_pays_nothing_for_it() -> None:
    code = (
        "import sys; import llenergymeasure.results.progress; "
        "print(sorted({'torch', 'pandas', 'numpy', 'scipy', 'pyarrow', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
