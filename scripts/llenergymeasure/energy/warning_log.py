"""Warnings of the meters, kept for the record."""

from __future__ import annotations

from llenergymeasure.records.finding import warning


class WarningLog:
    """Collects {"code", "message"}; the same text in every window is one warning."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, str]] = []

    def __call__(self, code: str, message: str) -> None:
        entry = warning(code, message)
        if entry not in self.warnings:
            self.warnings.append(entry)
