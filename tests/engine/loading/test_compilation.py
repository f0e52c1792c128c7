"""What torch's compiler did is counted since the experiment began: frames, recorded CUDA graphs, what it gave up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine.conftest import Run, Runner
from torch._inductor import cudagraph_trees

from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.evidence import collect
from llenergymeasure.engine.loading.compilation import counts, since
from llenergymeasure.engine.loading.compiler import compiler_lacks

REDUCED = {"torch_compile": True, "torch_compile_mode": "reduce-overhead"}


def node(**children: list[Any]) -> Any:
    """A recorded graph; `children`: by function, the graphs that follow it."""
    return SimpleNamespace(children=children)


@pytest.fixture
def recorded() -> Iterator[Callable[..., None]]:
    """Puts graphs into torch's own container of managers, as if a device had recorded them."""
    containers = cudagraph_trees.get_obj(cudagraph_trees.local, "tree_manager_containers")

    def put(device: int = 0, **roots: list[Any]) -> None:
        container = cudagraph_trees.TreeManagerContainer(device)
        container.tree_manager = SimpleNamespace(roots=roots)
        containers[device] = container

    yield put
    containers.clear()


def test_recorded_graphs_are_counted_over_trees_and_devices(recorded: Callable[..., None]) -> None:
    before = counts()
    recorded(0, decode=[node(), node(head=[node()])], prefill=[node()])
    recorded(1, decode=[node(head=[node(), node(), node()])])
    increments = since(before)
    assert (increments["graphs_recorded"], increments["graphs_recorded_again"]) == (8, 3)
    # A device whose manager was given up, as `torch._dynamo.reset` does, takes its graphs along.
    cudagraph_trees.get_obj(cudagraph_trees.local, "tree_manager_containers")[0].tree_manager = None
    assert since(before)["graphs_recorded"] == 4


def test_counting_makes_no_manager() -> None:
    counts()
    assert cudagraph_trees.get_obj(cudagraph_trees.local, "tree_manager_containers") == {}


def test_a_thread_without_managers_counts_none(recorded: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """In older torch the look-up of a thread's managers ends with an assertion where it has none."""
    recorded(0, decode=[node()])

    def refuses(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(cudagraph_trees, "get_obj", refuses)
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(counts).result()["graphs_recorded"] == 0
    assert counts()["graphs_recorded"] == 1


@pytest.fixture
def reduced(run: Runner) -> Run:
    """Asks for `reduce-overhead`. To wrap the call is enough for what it holds; to compile it would take a minute."""
    done = run()
    done.loaded.model.compile(mode="reduce-overhead")
    done.observation.compile_counts = {**done.observation.compile_counts, "frames_compiled": 3}
    return replace(done, config=run.config_of(pytorch=REDUCED))


@pytest.mark.parametrize(
    ("graphs", "skips", "verdict"), [(2, 0, "applied"), (0, 0, "ignored"), (2, 1, "ignored")], ids=str
)
def test_a_mode_with_graphs_is_applied_where_graphs_were_recorded_and_none_refused(
    reduced: Run, graphs: int, skips: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "replays_graphs", True)
    # The counts that a CUDA device would have left.
    counted = {**reduced.observation.compile_counts, "graphs_recorded": graphs, "cudagraph_skips": skips}
    reduced.observation.compile_counts = counted
    entry = collect(reduced.config, reduced.observation)["pytorch.torch_compile_mode"]
    assert entry["verdict"] == verdict, entry
    assert f"{graphs} CUDA graphs recorded, {skips} refused" in entry["observed"]


@pytest.mark.parametrize(("skips", "verdict"), [(0, "unverifiable"), (1, "ignored")])
def test_graphs_that_a_thread_of_the_library_records_cannot_be_counted(
    reduced: Run, skips: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under continuous batching: none are seen, and that does not prove that there are none."""
    monkeypatch.setattr(Host, "replays_graphs", True)
    assert reduced.observation.generated is not None
    reduced.observation.generated.inference = None
    reduced.observation.compile_counts = {
        **reduced.observation.compile_counts,
        "graphs_recorded": 0,
        "cudagraph_skips": skips,
    }
    entry = collect(reduced.config, reduced.observation)["pytorch.torch_compile_mode"]
    assert entry["verdict"] == verdict, entry
    if not skips:
        assert "recorded in a thread of the library, where they cannot be counted" in entry["observed"]


def test_on_a_cpu_a_mode_is_what_the_compiled_call_holds(reduced: Run) -> None:
    entry = reduced.evidence["pytorch.torch_compile_mode"]
    assert entry["verdict"] == "applied", entry
    assert "CUDA graphs" not in entry["observed"]


def test_a_function_that_the_compiler_gave_up_is_not_compiled(run: Runner) -> None:
    """Prompts of many widths, each a shape of its own, and a limit that is soon reached."""
    asked = {"torch_compile": True, "torch_compile_backend": "eager"}
    with torch._dynamo.config.patch(recompile_limit=1):
        given_up = run(pytorch=asked, passthrough_kwargs={"compile": {"dynamic": False}})
    assert given_up.observation.compile_counts["recompile_limits"] > 0
    entry = given_up.evidence["pytorch.torch_compile"]
    assert entry["verdict"] == "ignored", entry
    assert "recompile_limits: " in entry["observed"]
    whole = run(pytorch=asked)
    assert whole.observation.compile_counts["recompile_limits"] == 0
    assert whole.evidence["pytorch.torch_compile"]["verdict"] == "applied"


@pytest.mark.slow
@pytest.mark.skipif(compiler_lacks() is not None, reason="needs a C compiler and Python.h")
def test_what_flex_attention_compiles_is_counted_and_belongs_to_the_warm_up(run: Runner) -> None:
    done = run(pytorch={"attn_implementation": "flex_attention"})
    assert done.observation.compile_counts["frames_compiled"] > 0
    assert done.evidence["pytorch.attn_implementation"]["verdict"] == "applied"
    # The pass that is observed has other guards than those after it: the second compiles once more.
    done.generator.run_pass()
    warm = counts()
    done.generator.run_pass()
    assert since(warm)["frames_compiled"] == 0
