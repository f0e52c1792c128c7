"""The same passes run before a measured window opens and after it closes, and leave nothing in the results."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import pytest

from llenergymeasure.energy import MeterSet, Window
from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.meters.opening import no_meters
from llenergymeasure.energy.warning_log import WarningLog
from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.replicas import Alone, Group, Shard
from llenergymeasure.measurement.passes import Passes
from llenergymeasure.measurement.windows import Windows

T = TypeVar("T")
PASS_S, STEADY_S = 0.01, 0.035


class Work:
    """A generator of passes that take `PASS_S` seconds each; a raw pass is its number."""

    def __init__(self) -> None:
        self.done = 0
        self.prefill_only: list[bool] = []
        self._raw: list[int] = []

    def run_pass(self, *, prefill_only: bool = False) -> None:
        time.sleep(PASS_S)
        self._raw.append(self.done)
        self.prefill_only.append(prefill_only)
        self.done += 1

    def take_raw(self) -> list[int]:
        raw, self._raw = self._raw, []
        return raw


class Sensor:
    """A meter that needs steady power around its windows, and notes how many passes were done when it was called."""

    name = "sensor"
    domains = frozenset({"gpu"})
    device_uuids: frozenset[str] = frozenset()

    def __init__(self, work: Work, steady_s: float = STEADY_S) -> None:
        self.steady_s = steady_s
        self.calls: dict[str, int] = {}
        self.span: Span | None = None
        self._work = work

    def restrict(self, device_uuids: Collection[str]) -> None: ...

    def prepare(self, phase: str) -> None:  # noqa: ARG002
        self.calls = {"prepare": self._work.done}

    def begin(self, phase: str) -> None:  # noqa: ARG002
        self.calls["begin"] = self._work.done

    def end(self) -> None:
        self.calls["end"] = self._work.done

    def finish(self, span: Span) -> Finished:
        self.calls["finish"], self.span = self._work.done, span
        return Finished()

    def trace(self) -> list[dict[str, Any]]:
        return []

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None: ...


def meter_set(*meters: Sensor) -> MeterSet:
    return MeterSet(list(meters), WarningLog(), refused=[], no_meter="none")


def passes_of(work: Work, group: Group, meters: MeterSet) -> Passes:
    return Passes(work, group, Host(), Windows(meters, group))  # type: ignore[arg-type]


def test_the_window_lies_between_passes_of_the_same_work() -> None:
    work = Work()
    sensor = Sensor(work)
    passes = passes_of(work, Alone(), meter_set(sensor))
    ran = passes.window("generate", 3, PASS_S, prefill_only=True)
    # 35 ms of work are four passes of 10 ms.
    assert sensor.calls == {"prepare": 0, "begin": 4, "end": 7, "finish": 11}
    assert ran.raw == [4, 5, 6]
    assert work.take_raw() == []
    assert work.prefill_only == [True] * 11
    assert sensor.span is not None and sensor.span.same_work
    begin_s = ran.window.start_monotonic_s
    assert begin_s <= ran.anchor.host_s < begin_s + 0.005
    assert 3 * PASS_S <= ran.window.duration_s < 4 * PASS_S + 0.02


def test_where_no_meter_needs_it_nothing_runs_around() -> None:
    work = Work()
    sensor = Sensor(work, steady_s=0.0)
    raw = passes_of(work, Alone(), meter_set(sensor)).window("generate", 3, PASS_S).raw
    assert sensor.calls == {"prepare": 0, "begin": 0, "end": 3, "finish": 3}
    assert raw == [0, 1, 2]
    assert sensor.span is not None and not sensor.span.same_work


@pytest.mark.parametrize("dies_at", [2, 5, 9])
def test_work_that_fails_at_any_moment_closes_the_window(dies_at: int) -> None:
    class Dying(Work):
        def run_pass(self, *, prefill_only: bool = False) -> None:
            if self.done == dies_at:
                raise MemoryError
            super().run_pass(prefill_only=prefill_only)

    work = Dying()
    sensor = Sensor(work)
    meters = meter_set(sensor)
    with pytest.raises(MemoryError):
        passes_of(work, Alone(), meters).window("generate", 3, PASS_S)
    assert sensor.calls["finish"] == dies_at
    with meters.window("load", lambda: None) as again:
        pass
    assert isinstance(again, Window)


class Thread(Group):
    """One of two processes of an experiment, as threads."""

    size = 2
    _met = threading.Barrier(2)
    _values: Sequence[Any] = [None, None]

    def __init__(self, rank: int, values: list[Any]) -> None:
        self.rank, self._values = rank, values

    def share(self, message: Any) -> Any:
        return self.gather(message)[0]

    def gather(self, value: T) -> list[T]:
        self._values[self.rank] = value  # type: ignore[index]
        self._met.wait(5)
        values = list(self._values)
        self._met.wait(5)
        return values

    def barrier(self) -> None:
        self._met.wait(5)

    def shard(self, prompts: int) -> Shard:
        return Shard(0, prompts)

    def counted(self, values: Sequence[T]) -> list[T]:
        return list(values)

    def close(self) -> None: ...


def test_several_processes_run_it_in_step_though_only_the_first_has_meters() -> None:
    works = [Work(), Work()]
    sensor, values = Sensor(works[0]), [None, None]
    meters = [meter_set(sensor), no_meters()]
    raws: dict[int, list[int]] = {}

    def process(rank: int) -> None:
        passes = passes_of(works[rank], Thread(rank, values), meters[rank])
        raws[rank] = passes.window("generate", 3, PASS_S).raw

    threads = [threading.Thread(target=process, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert raws == {0: [4, 5, 6], 1: [4, 5, 6]}
    assert [work.done for work in works] == [11, 11]
