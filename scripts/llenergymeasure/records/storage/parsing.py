"""Read one record: validated, or one line on what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import other_schema

AnyRecord = TypeVar("AnyRecord", bound=Record)


class BrokenRecord(Exception):
    """A file of results cannot be used; the message names the file and says what is wrong."""

    says_what_to_do: ClassVar[bool] = False

    def advise(self, advice: str) -> str:
        """The message with what to do about the file, where it does not say so itself."""
        return str(self) if self.says_what_to_do else f"{self}; {advice}"


class OtherSchema(BrokenRecord):
    """Another version of this program wrote the file; the message also says what to do."""

    says_what_to_do = True


def read_record(kind: type[AnyRecord], path: Path) -> AnyRecord:
    """The one record of a file. BrokenRecord where it cannot be read."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BrokenRecord(f"{path} cannot be read ({error})") from error
    return parse(kind, text, path)


def parse(kind: type[AnyRecord], text: bytes, path: Path, line: int | None = None) -> AnyRecord:
    """A record from its JSON. BrokenRecord where it is damaged or of another program or version.

    path, line: where the text is from, for the message
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        place = str(path) if line is None else f"{path}:{line}"
        raise _broken(kind, text, error, path, place) from error


def first_error(error: ValidationError) -> str:
    """Where and what the first of the errors is, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where} = {first['input']!r:.80}: {first['msg']}" if where else str(first["msg"])


def _broken(kind: type[Record], text: bytes, error: ValidationError, path: Path, place: str) -> BrokenRecord:
    """The most useful of the errors: not JSON, another version, missing keys, then the first wrong value."""
    try:
        plain = from_json(text)
    except ValueError as broken:
        return BrokenRecord(f"{place} is not whole ({broken})")
    if (refusal := other_schema(path, plain)) is not None:
        return OtherSchema(refusal)
    needed = [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]
    if lacking := [name for name in needed if not isinstance(plain, dict) or name not in plain]:
        return BrokenRecord(f"{place} lacks {', '.join(lacking)}")
    return BrokenRecord(f"{place}: {first_error(error)}")
