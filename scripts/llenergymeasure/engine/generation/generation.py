"""What all ways of generating have in common: passes over a fixed prompt set, read after the devices are done."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llenergymeasure.engine.devices import Anchor
from llenergymeasure.engine.generation.batches import Row
from llenergymeasure.engine.generation.cache import CacheDescription
from llenergymeasure.engine.generation.seeds import PassSeeds


@dataclass(frozen=True)
class Request:
    """One prompt in one pass. Times in seconds from the moment it was handed to the library."""

    pass_index: int
    request_index: int
    batch_index: int
    input_tokens: int
    row: Row
    padded_tokens: int
    ttft_s: float
    itl_s: tuple[float, ...]
    e2e_latency_s: float

    @property
    def tpot_s(self) -> float | None:
        """Mean inter-token latency, (last token − first token) / (tokens − 1); None for a single token."""
        return statistics.fmean(self.itl_s) if self.itl_s else None


@dataclass
class Instrumented:
    """What an instrumented pass gave, for the probes.

    rows: one per prompt, in order; prompt_ids: what was handed over, without padding
    steps: positions in the sequence after each decoding step
    scheduler_options: the `ContinuousBatchingConfig` that was in force, where the library schedules
    batch_rows: prompts in each call, or in each step where the library schedules them
    cache: describes the cache of the last call; the cache itself is dropped, since its memory is the experiment's
    attention: the implementation that was in force, where the library changes it to generate
    inference: whether the output was made in `torch.inference_mode()`; None where a thread of the library made it
    """

    rows: list[Row] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    batch_rows: list[int] = field(default_factory=list)
    prompt_lengths: list[int] = field(default_factory=list)
    prompt_ids: list[list[int]] = field(default_factory=list)
    cache: CacheDescription | None = None
    method: str = "generate"
    scheduler_options: Any = None
    attention: str | None = None
    inference: bool | None = None


@dataclass(frozen=True)
class Generation:
    """One call of the library on the host's `perf_counter`: its prefill ends with the first token.

    steps_s: when each decoding step ended; the first one is the prefill
    """

    start_s: float
    first_token_s: float
    end_s: float
    steps_s: tuple[float, ...] = ()


class Generator(ABC):
    """Runs passes over a fixed prompt set with fixed keywords. A pass is every prompt once, in order."""

    model: Any
    keywords: Mapping[str, Any]
    seeds: PassSeeds

    @property
    @abstractmethod
    def requests_per_pass(self) -> int: ...

    @abstractmethod
    def run_pass(self, *, prefill_only: bool = False) -> None:
        """Generate for every prompt and keep the raw result.

        Sampling starts from the seed of this pass: passes count from the last `take_raw`.
        """

    @abstractmethod
    def run_instrumented(self) -> Instrumented:
        """One pass, outside every window, that keeps what the probes look at."""

    @abstractmethod
    def take_raw(self) -> list[Any]:
        """What the passes so far left, and an empty list for the next."""

    @abstractmethod
    def pass_seconds(self, raw_pass: Any) -> float:
        """Time from the first prompt's start to the last one's end, in seconds."""

    @abstractmethod
    def read(self, raw: Sequence[Any]) -> list[Request]:
        """Turn raw passes into requests. Only after the devices were synchronised."""

    @abstractmethod
    def timeline(self, raw: Sequence[Any], anchor: Anchor) -> list[Generation] | None:
        """When each call of the raw passes was in prefill and in decode; None where the two overlap."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the passes held on to."""


def token_intervals(step_times_s: Sequence[float], tokens_so_far: Sequence[int]) -> list[float]:
    """Seconds between successive tokens, from the time of each step and the tokens there were after it.

    A step that yields several tokens (accepted look-up tokens) shares its time equally among them. The first step
    belongs to TTFT; tokens it yielded beyond the first one came at the same instant.
    """
    if not step_times_s:
        return []
    intervals = [0.0] * (tokens_so_far[0] - 1)
    for place in range(1, len(step_times_s)):
        tokens = tokens_so_far[place] - tokens_so_far[place - 1]
        if tokens > 0:
            step_s = step_times_s[place] - step_times_s[place - 1]
            intervals.extend([step_s / tokens] * tokens)
    return intervals
