"""What one experiment leaves on the model is not what the next is measured with, nor judged by."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from measurement.experiments import config
from transformers import Cache, CompileConfig, GenerationMixin

from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.loaded_session import LoadedSession
from llenergymeasure.measurement.memory_checks import MemoryWatch
from llenergymeasure.measurement.session import Session

Record = dict[str, Any]
# The longest prompt of the study is as long as it may be.
WIDTH = 48


def experiment(cache: str | None = "static", tokens: int = 4, **pytorch: Any) -> Record:
    cached = {} if cache is None else {"cache_implementation": cache}
    return config(
        max_output_tokens=tokens,
        energy={"meters": ["codecarbon"]},
        baseline={"duration_s": 0.1},
        pytorch={"torch_compile": False, **cached, **pytorch},
    )


def measured(snapshot: Path, *intents: Record) -> list[Record]:
    """The records of these experiments, warmed up and measured one after the other in one session."""
    session = Session(Alone())
    records = []
    try:
        first = {"do": "load", "config": intents[0], "snapshots": {"model": str(snapshot)}, "compile_cache": None}
        session.perform(first)
        for intent in intents:
            sized = {"min_window_s": 0.05, "energy_resolution": 0.5}
            calibration = session.perform({"do": "warmup", "config": intent, **sized})
            order = {
                "do": "measure",
                "config": intent,
                "calibration": {**calibration, "status": "ok"},
                "reference": {"experiment_id": "itself", "outputs": calibration["outputs"]},
            }
            records.append(session.perform(order)["record"])
    finally:
        session.close()
    return records


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Switches the library's own compilation on or off, by the flag with which it tests itself on a CPU."""
    original = GenerationMixin._valid_auto_compile_criteria
    wanted = [True]

    def criteria(model: Any, model_kwargs: Any, generation_config: Any) -> bool:
        if wanted[0]:
            generation_config.compile_config = generation_config.compile_config or CompileConfig(backend="eager")
            generation_config.compile_config._compile_all_devices = True
        return bool(original(model, model_kwargs, generation_config))

    monkeypatch.setattr(GenerationMixin, "_valid_auto_compile_criteria", criteria)

    def switch(on: bool) -> None:
        wanted[0] = on

    yield switch


def test_no_cache_is_held_while_the_window_is_open(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[list[str]] = []
    real = MemoryWatch.open_window

    def look(watch: MemoryWatch) -> None:
        gc.collect()
        held.append([type(item).__name__ for item in gc.get_objects() if issubclass(type(item), Cache)])
        real(watch)

    monkeypatch.setattr(MemoryWatch, "open_window", look)
    records = measured(snapshot, experiment("static"), experiment("dynamic"))
    assert held == [[], []]
    # The evidence still knows what the cache was.
    observed = [record["evidence"]["pytorch.cache_implementation"]["observed"] for record in records]
    assert observed[0].startswith(f"cache of class StaticCache with {WIDTH + 3} tokens of {WIDTH + 3}")
    assert observed[1].startswith(f"cache of class DynamicCache with {WIDTH + 3} tokens")


@pytest.mark.parametrize("lengths", [(4, 64), (64, 4)], ids=str)
def test_a_static_cache_is_as_long_as_its_own_experiment_needs(
    snapshot: Path, lengths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    original = GenerationMixin._prepare_static_cache

    def noted(model: Any, *positional: Any, **named: Any) -> Any:
        cache = original(model, *positional, **named)
        made.append(cache.layers[0].max_cache_len)
        return cache

    monkeypatch.setattr(GenerationMixin, "_prepare_static_cache", noted)
    records = measured(snapshot, *(experiment(tokens=tokens) for tokens in lengths))
    for record, tokens in zip(records, lengths, strict=True):
        entry = record["evidence"]["pytorch.cache_implementation"]
        # Every token but the last one is an input, so that is what the library makes room for.
        assert f"of {WIDTH + tokens - 1}; prompt and output need {WIDTH + tokens - 1}" in entry["observed"]
        assert entry["verdict"] == "applied", entry
    needed = [WIDTH + tokens - 1 for tokens in lengths]
    assert made[-1] == needed[-1]
    assert max(made) == max(needed)


def test_a_cache_that_is_longer_than_needed_is_not_the_one_that_was_asked_for(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = GenerationMixin._prepare_static_cache

    def longer(model: Any, *positional: Any, **named: Any) -> Any:
        model._previous_max_cache_length = 500
        return original(model, *positional, **named)

    monkeypatch.setattr(GenerationMixin, "_prepare_static_cache", longer)
    (record,) = measured(snapshot, experiment())
    entry = record["evidence"]["pytorch.cache_implementation"]
    assert (entry["verdict"], entry["effective"]) == ("ignored", "StaticCache of 500")
    assert record["validity"]["verdict"] == "invalid"


@pytest.mark.slow
def test_what_transformers_compiles_is_not_taken_for_torch_compile(
    snapshot: Path, compiles: Callable[[bool], None]
) -> None:
    compiles(True)
    records = measured(snapshot, experiment("static"), experiment("dynamic"), experiment("static"))
    evidence = [record["evidence"]["pytorch.torch_compile"] for record in records]
    assert [entry["verdict"] for entry in evidence] == ["applied"] * 3, evidence
    assert [entry["effective"] for entry in evidence] == [False] * 3
    said = ["transformers compiled its decoding step" in entry["observed"] for entry in evidence]
    assert said == [True, False, True]
    assert "frames_compiled: 0," in evidence[1]["observed"]
    assert "frames_compiled: 0," not in evidence[0]["observed"]
    # The same experiment, compiled as often whatever was before it.
    assert evidence[0]["observed"] == evidence[2]["observed"]
    assert not [record for record in records if record["validity"]["verdict"] == "invalid"]


def test_a_compilation_of_the_experiment_before_is_not_this_ones(
    snapshot: Path, compiles: Callable[[bool], None]
) -> None:
    asked = experiment("static", compile_config={"backend": "eager"})
    first, second = measured_with_switch(snapshot, asked, compiles)
    assert [first["verdict"], second["verdict"]] == ["applied", "ignored"], (first, second)
    assert "transformers compiled nothing" in second["observed"]


def measured_with_switch(snapshot: Path, asked: Record, compiles: Callable[[bool], None]) -> list[Record]:
    """Evidence of `compile_config` for the same experiment twice: the library compiles in the first only."""
    real = LoadedSession._observation
    begun = []

    def observation(session: LoadedSession) -> Any:
        begun.append(session)
        # One after the load, one for the warm-up, one for the measurement.
        compiles(len(begun) <= 3)
        return real(session)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LoadedSession, "_observation", observation)
        return [record["evidence"]["pytorch.compile_config"] for record in measured(snapshot, asked, asked)]
