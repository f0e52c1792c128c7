"""The base of every record: frozen, with exactly the keys that its type names."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True)


class Record(BaseModel):
    """One JSON object under results/. Reading it validates it: a foreign or damaged one is a ValidationError.

    It is strict: text is never read as a number. Numbers are finite. An unknown value is None.
    """

    model_config = CONFIG

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """The record from the result of `json.loads`, in which a tuple is a list."""
        return cls.model_validate(plain, strict=False)

    def to_plain(self) -> dict[str, Any]:
        """The record as `json.dumps` takes it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
