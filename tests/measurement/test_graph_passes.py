"""A warm-up continues until a pass records no CUDA graph and compiles nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from measurement.test_window_findings import PLAN
from measurement.test_work_around_windows import PASS_S, Thread, Work
from torch._dynamo.utils import counters as dynamo_counters
from torch._inductor import cudagraph_trees

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy.meters.opening import no_meters
from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.loading.compilation import counts
from llenergymeasure.engine.replicas import Alone, Group
from llenergymeasure.measurement.passes import MOST_GRAPH_PASSES, Passes
from llenergymeasure.measurement.windows import Windows


class Recording(Work):
    """The first passes record a graph each, as the caches of a device lie at new addresses; then they come back.

    The graphs are put into torch's own container of managers, as if a device had recorded them.
    """

    def __init__(self, passes: int) -> None:
        super().__init__()
        self._passes = passes
        container = cudagraph_trees.TreeManagerContainer(0)
        container.tree_manager = SimpleNamespace(roots={"decode": []})
        self._graphs: list[Any] = container.tree_manager.roots["decode"]
        # Each thread has managers of its own.
        cudagraph_trees.get_obj(cudagraph_trees.local, "tree_manager_containers")[0] = container

    def run_pass(self, *, prefill_only: bool = False) -> None:
        super().run_pass(prefill_only=prefill_only)
        if self.done <= self._passes:
            self._graphs.append(SimpleNamespace(children={}))


@pytest.fixture(autouse=True)
def _no_managers_left() -> Iterator[None]:
    yield
    cudagraph_trees.get_obj(cudagraph_trees.local, "tree_manager_containers").clear()


class Observed(Passes):
    """The instrumented pass is a plain one: what it looks for does not matter here."""

    def observed(self, observation: Any) -> None:  # noqa: ARG002
        self.run(1)


def warmed(work: Work, group: Group) -> tuple[int, int]:
    """Passes after a warm-up of three until none recorded a graph, and those that did when the window opens."""
    passes = Observed(work, group, Host(), Windows(no_meters(), group))  # type: ignore[arg-type]
    observation: Any = SimpleNamespace(began=counts())
    warmup = passes.warm(WarmupConfig(), PLAN, None, observation)
    return warmup.graph_passes, passes.window("generate", 2, PASS_S).counts["graphs_recorded"]


@pytest.mark.parametrize(
    ("recording", "graph_passes"),
    [
        (0, 0),
        # The third and last pass of the warm-up shows that nothing is recorded any more.
        (1, 0),
        (2, 0),
        # It recorded: the fourth shows that it was the last.
        (3, 1),
        (5, 3),
    ],
)
def test_further_passes_follow_until_one_records_none(recording: int, graph_passes: int) -> None:
    assert warmed(Recording(recording), Alone()) == (graph_passes, 0)


class Compiling(Work):
    """The first passes compile a frame each, as the library's own compiled functions do for new shapes."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self._passes = passes

    def run_pass(self, *, prefill_only: bool = False) -> None:
        super().run_pass(prefill_only=prefill_only)
        if self.done <= self._passes:
            dynamo_counters["frames"]["ok"] += 1


@pytest.mark.parametrize(("compiling", "further"), [(2, 0), (4, 2), (100, MOST_GRAPH_PASSES)])
def test_further_passes_follow_until_one_compiles_nothing(compiling: int, further: int) -> None:
    assert warmed(Compiling(compiling), Alone())[0] == further


def test_passes_that_always_record_are_given_up_and_seen_in_the_window() -> None:
    assert warmed(Recording(100), Alone()) == (MOST_GRAPH_PASSES, 2)


def test_processes_continue_together() -> None:
    values: list[Any] = [None, None]
    counts_by_rank: dict[int, tuple[int, int]] = {}
    works: dict[int, Work] = {}

    def process(rank: int) -> None:
        works[rank] = Recording(5 if rank else 0)
        counts_by_rank[rank] = warmed(works[rank], Thread(rank, values))

    threads = [threading.Thread(target=process, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert counts_by_rank == {0: (3, 0), 1: (3, 0)}
    assert works[0].done == works[1].done
