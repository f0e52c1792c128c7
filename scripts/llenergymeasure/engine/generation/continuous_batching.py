"""`generate_batch()` of transformers: requests join and leave the batch step by step, over a paged cache.

The library's manager is kept from pass to pass, as `generate_batch(persistent_manager=True)` keeps it; it is made
before the first pass, so that no window holds its start.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import ContinuousBatchingConfig

from llenergymeasure.engine.devices import Anchor, DeviceKind
from llenergymeasure.engine.failure import ExperimentFailure, library_call
from llenergymeasure.engine.generation.batches import Row, row_from_ids
from llenergymeasure.engine.generation.cache import describe_cache
from llenergymeasure.engine.generation.generation import Generation, Generator, Instrumented, Request
from llenergymeasure.engine.generation.keywords import page_option
from llenergymeasure.engine.generation.seeds import PassSeeds

NO_TOKEN = -1
PATIENCE_S = 0.2


@dataclass(frozen=True)
class RawPass:
    """One pass: when it began and ended on the host's monotonic clock, and the library's outputs in prompt order."""

    start_s: float
    end_s: float
    outputs: Sequence[Any]


@dataclass
class ContinuousGenerator(Generator):
    """All prompts are handed over at once; the library's scheduler decides which run together."""

    model: Any
    devices: DeviceKind
    prompts: Sequence[Sequence[int]]
    first_request: int
    keywords: Mapping[str, Any]
    options: Mapping[str, Any]
    seeds: PassSeeds
    max_new_tokens: int
    eos_token_ids: frozenset[int]
    raw: list[RawPass] = field(default_factory=list)
    _manager: Any = None

    @property
    def requests_per_pass(self) -> int:
        return len(self.prompts)

    def run_pass(self, *, prefill_only: bool = False) -> None:
        if self._manager is None:
            self._manager = self._start({})
        new_tokens = 1 if prefill_only else self.max_new_tokens
        self.raw.append(self._pass(self._manager, new_tokens, self.seeds.seed(len(self.raw))))

    def run_instrumented(self) -> Instrumented:
        # A manager of its own: the library builds the logits processors with it, and they count only here. Counting
        # inside a CUDA graph is impossible.
        self.close()
        manager = self._start({"use_cuda_graph": False})
        instrumented = Instrumented(method="generate_batch")
        try:
            scheduler = manager.batch_processor.scheduler
            schedule = scheduler.schedule_batch

            def counting(*positional: Any, **named: Any) -> Any:
                answer = schedule(*positional, **named)
                if answer[0]:
                    instrumented.batch_rows.append(len(answer[0]))
                return answer

            scheduler.schedule_batch = counting
            done = self._pass(manager, self.max_new_tokens, self.seeds.seed(0))
            instrumented.attention = str(self.model.config._attn_implementation)
            instrumented.scheduler_options = manager.continuous_batching_config
            instrumented.cache = describe_cache(manager.batch_processor.cache)
        finally:
            _stop(manager)
        instrumented.rows = [self._row(output) for output in done.outputs]
        instrumented.prompt_lengths = [len(ids) for ids in self.prompts]
        instrumented.prompt_ids = [list(ids) for ids in self.prompts]
        instrumented.steps = [number for row in instrumented.rows for number in range(1, len(row.output_ids) + 1)]
        return instrumented

    def take_raw(self) -> list[RawPass]:
        raw, self.raw = self.raw, []
        return raw

    def pass_seconds(self, raw_pass: RawPass) -> float:
        return raw_pass.end_s - raw_pass.start_s

    def read(self, raw: Sequence[RawPass]) -> list[Request]:
        return [
            self._request(pass_index, place, raw_pass, output)
            for pass_index, raw_pass in enumerate(raw)
            for place, output in enumerate(raw_pass.outputs)
        ]

    def timeline(self, raw: Sequence[RawPass], anchor: Anchor) -> list[Generation] | None:  # noqa: ARG002
        """None: a step prefills some prompts while it decodes others."""
        return None

    def close(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            _stop(manager)

    def _start(self, changes: Mapping[str, Any]) -> Any:
        generation_config = copy.deepcopy(self.model.generation_config)
        with library_call("generate"):
            unread = generation_config.update(**self.keywords)
            assert not unread, f"{unread} are not settings of generate_batch; the rules have to refuse them"
            if generation_config.eos_token_id is None or not self.eos_token_ids:
                generation_config.eos_token_id = NO_TOKEN
            manager = self.model.init_continuous_batching(
                generation_config=generation_config,
                continuous_batching_config=ContinuousBatchingConfig(**{**self._sizes(), **self.options, **changes}),
            )
            manager.start()
            while manager.batch_processor is None:
                if not manager.is_running():
                    raise _why(manager)
                time.sleep(0.001)
        return manager

    def _sizes(self) -> dict[str, Any]:
        """A cache for these prompts only. By default the library takes nine tenths of all free memory.

        Blocks are not shared: from the second pass on every prompt would be found in the cache, and its prefill
        would cost nothing.
        """
        name = page_option()
        page = int(self.options.get(name, getattr(ContinuousBatchingConfig(), name)))
        pages = sum(math.ceil((len(ids) + self.max_new_tokens) / page) for ids in self.prompts)
        tokens = sum(len(ids) for ids in self.prompts)
        # Each group of layers has its own pages; one more for each prompt that a step may just have begun.
        groups = len(set(getattr(self.model.config, "layer_types", None) or ["full_attention"]))
        return {
            "allow_block_sharing": False,
            "num_blocks": max(16, groups * (pages + len(self.prompts))),
            "max_batch_tokens": max(512, tokens),
        }

    def _pass(self, manager: Any, max_new_tokens: int, seed: int) -> RawPass:
        with library_call("generate"), torch.no_grad():
            # The library seeds its thread once, when it starts; the thread has nothing to do between two passes.
            torch.manual_seed(seed)
            start_s = time.perf_counter()
            names = manager.add_requests(
                inputs=[list(ids) for ids in self.prompts], max_new_tokens=max_new_tokens, record_timestamps=True
            )
            done: dict[str, Any] = {}
            while len(done) < len(names):
                output = manager.get_result(timeout=PATIENCE_S)
                if output is None:
                    if not manager.is_running():
                        raise _why(manager)
                elif output.is_finished():
                    if output.error is not None:
                        raise ExperimentFailure("generate", "ContinuousBatchingError", str(output.error))
                    done[output.request_id] = output
            end_s = time.perf_counter()
        return RawPass(start_s, end_s, [done[name] for name in names])

    def _row(self, output: Any) -> Row:
        return row_from_ids(output.generated_tokens, self.eos_token_ids, self.max_new_tokens)

    def _request(self, pass_index: int, place: int, raw_pass: RawPass, output: Any) -> Request:
        row = self._row(output)
        stamps = [stamp - raw_pass.start_s for stamp in output.timestamps]
        intervals = [later - earlier for earlier, later in itertools.pairwise(stamps)]
        return Request(
            pass_index=pass_index,
            request_index=self.first_request + place,
            batch_index=0,
            input_tokens=len(self.prompts[place]),
            row=row,
            padded_tokens=row.trailing_pads,
            ttft_s=stamps[0],
            itl_s=tuple(intervals[: len(row.output_ids) - 1]),
            e2e_latency_s=stamps[-1],
        )


def _stop(manager: Any) -> None:
    with library_call("generate"):
        manager.stop(block=True, timeout=60)
        manager.destroy()


def _why(manager: Any) -> Exception:
    fatal = manager.background_thread_status.fatal_error
    return fatal or RuntimeError("the library's generation thread ended by itself")
