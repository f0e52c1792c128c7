"""Whatever is compiled goes to the setup's own folder: transformers compiles where no study asks for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llenergymeasure.pipeline.stages import Setting


@pytest.mark.parametrize("compiles", [True, False, None])
def test_a_setup_has_its_cache_whether_or_not_it_compiles(compiles: bool | None, tmp_path: Path) -> None:
    plan: Any = SimpleNamespace(setup_config=lambda _: {"pytorch": {"torch_compile": compiles}})
    others: Any = dict.fromkeys(
        (
            "snapshots",
            "quantized",
            "prompts",
            "min_window_s",
            "energy_resolution",
            "foreign_load",
            "environment",
            "limits",
        )
    )
    setting = Setting(
        plan=plan,
        compile_cache=tmp_path,
        timeout_s=1.0,
        stop_on_failure=False,
        neighbours=None,
        log=tmp_path / "log",
        **others,
    )
    assert setting.order("a setup").compile_cache == tmp_path
