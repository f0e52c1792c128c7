"""The templates of the pages, and how they are filled: no text from outside becomes markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from llenergymeasure.results.report.experiments import describe_source
from llenergymeasure.results.report.formatting import percent

TEMPLATES = Path(__file__).with_name("templates")


def fill_template(name: str, **values: Any) -> str:
    """The page as HTML, with the style that all pages share. An error where a value that it shows is missing."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["describe_source"] = describe_source
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return environment.get_template(name).render(style=style, **values)
