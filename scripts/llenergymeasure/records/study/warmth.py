"""How warm boards get: what each warm-up saw, and temperatures.json, the temperature that a study's runs begin at."""

from __future__ import annotations

from collections.abc import Iterable

from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SCHEMA_VERSION, SchemaVersion


class Warmth(Record):
    """How warm a warm-up made its boards. Temperatures in °C.

    start_c: of the hottest board, before the first pass; boards_c: by UUID, at the end
    rested: whether the temperature had come to rest by then
    power_per_c_w: how much more power the same work took per °C, with its standard uncertainty; None where the
        warm-up does not show it
    """

    start_c: float
    boards_c: dict[str, float]
    rested: bool
    power_per_c_w: float | None = None
    power_per_c_standard_w: float | None = None

    @property
    def end_c(self) -> float:
        """Of the hottest board, at the end."""
        return max(self.boards_c.values())


class BoardTemperature(Record):
    """What the calibrations on one board came to.

    hottest_c: the highest temperature at which a warm-up ended, and of which experiment
    coldest_c: the lowest at which one began
    power_per_c_w: the steepest slope of power that a warm-up showed, with its standard uncertainty; None for none
    """

    hottest_c: float
    experiment_id: str
    coldest_c: float
    power_per_c_w: float | None = None
    power_per_c_standard_w: float | None = None


class StudyTemperatures(Record):
    """By UUID of the board. A board that is in it never changes."""

    schema_version: SchemaVersion
    boards: dict[str, BoardTemperature]

    def on(self, uuids: Iterable[str]) -> BoardTemperature | None:
        """Of the hottest of these boards; where none of them is known, of the hottest that is. None for none."""
        own = [self.boards[uuid] for uuid in uuids if uuid in self.boards]
        return max(own or self.boards.values(), key=lambda board: board.hottest_c, default=None)


NO_TEMPERATURES = StudyTemperatures(schema_version=SCHEMA_VERSION, boards={})
