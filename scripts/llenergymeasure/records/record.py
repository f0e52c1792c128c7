"""What every record is: frozen, with no key more and no key less than its type names."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True)


class Record(BaseModel):
    """One JSON object under results/. Reading it validates it: a foreign or damaged one is a ValidationError.

    Strict: text is never read as a number. Numbers are finite. What is not known is None.
    """

    model_config = CONFIG

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """From what `json.loads` gives, where a tuple is a list."""
        return cls.model_validate(plain, strict=False)

    def to_plain(self) -> dict[str, Any]:
        """What `json.dumps` takes."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
