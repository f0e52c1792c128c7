"""docs/parameters.md is true of the declarations, and every declaration is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT

from llenergymeasure.config import introspection
from llenergymeasure.config.settings.decoder import DecoderSettings
from llenergymeasure.config.settings.parameter import LibraryChoice
from llenergymeasure.config.settings.pytorch import PyTorchSettings
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.docs_pages.parameter_page import page
from llenergymeasure.engine.evidence import PROBES

LIBRARY_CHOOSES = (LibraryChoice, bool, int, float, str)


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    assert (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8") == page(), (
        "run python -m llenergymeasure.docs_pages.parameter_page with scripts/ on PYTHONPATH"
    )
    target = tmp_path / "page.md"
    subprocess.run(
        [sys.executable, "-m", "llenergymeasure.docs_pages.parameter_page", str(target)],
        check=True,
        env={"PYTHONPATH": str(ROOT / "scripts")},
    )
    assert target.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(
    "path",
    [
        *(f"pytorch.{name}" for name in PyTorchSettings.model_fields),
        *(f"decoder.{name}" for name in DecoderSettings.model_fields if name != "preset"),
        *("precision", "max_input_tokens", "max_output_tokens", "random_seed", "cpu_threads"),
        *("dataset.system_prompt", "dataset.chat_template_kwargs"),
    ],
)
def test_a_declaration_lacks_no_part(path: str) -> None:
    item = parameters()[path]
    assert len(item.description) > 20
    assert item.keyword and item.target
    assert isinstance(item.library_default, LIBRARY_CHOOSES)
    assert (PROBES[item.evidence].__doc__ or "").strip()
    # Values worth trying on any model, or the reason why there are none.
    assert bool(item.test_values) != bool(item.untried)
    assert all(relation.rule and relation.because and relation.fix for relation in item.relations)
    described = introspection.get_all_params()[path]
    assert described["type"] and described["evidence"] and described["keyword"] == item.keyword
    text = page()
    assert f"### {path}\n" in text
    (section,) = [part for part in text.split("\n### ") if part.startswith(f"{path}\n")]
    for part in ("**Takes**", "**Passed to**", "**Not set:**", "**Observed:**"):
        assert part in section


def test_links_on_the_page_lead_somewhere() -> None:
    text = page()
    anchors = {heading.replace(".", "").lower() for heading in parameters()}
    for path in parameters():
        assert f"(#{path.replace('.', '')})" in text
        assert path.replace(".", "") in anchors
