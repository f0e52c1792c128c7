"""Claim: a measured pass takes at most 1.01 times a bare `model.generate()` loop on the same inputs.

The two are alternated in one process, in pairs with the order swapped each time, so that drift hits both alike;
the figure is the median of the pairwise ratios, with a bootstrap interval. Passes are short (one prompt, few
tokens) and there are many pairs: disturbances of a shared machine last longer than a pair. Both use one thread, so that
the scheduler's placement makes no difference.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.small_model import ROOT, small_model

sys.path.insert(0, str(ROOT / "scripts"))

LIMIT = 1.01
SECONDS = 180


def main() -> bool:
    from llenergymeasure.config import ExperimentConfig
    from llenergymeasure.engine.generation.generators import generator_for
    from llenergymeasure.engine.generation.keywords import generate_keywords
    from llenergymeasure.engine.generation.padding import embedding_rows, pad_token
    from llenergymeasure.engine.loading.load import Source, Sources, load_model
    from llenergymeasure.measurement.prompts.prompts import build_prompts

    model = small_model()
    config = ExperimentConfig.model_validate(
        {
            "model": str(model),
            "precision": "fp32",
            "cpu_threads": 1,
            "n_prompts": 1,
            "max_input_tokens": 40,
            "max_output_tokens": 4,
            "decoder": {"preset": "deterministic"},
            "pytorch": {"batch_size": 1},
        }
    )
    loaded = load_model(config, Sources(Source(model)))
    prompts = build_prompts(
        config.dataset,
        n=config.n_prompts,
        max_input_tokens=config.max_input_tokens,
        tokenizer=loaded.tokenizer,
        seed=config.random_seed,
    )
    generator = generator_for(config, loaded, [prompt.input_ids for prompt in prompts.prompts])
    keywords = generate_keywords(config, pad_token_id=pad_token(loaded.tokenizer, embedding_rows(loaded.model)))
    batches = generator.batches

    def bare() -> None:
        for batch in batches:
            loaded.model.generate(batch.input_ids, attention_mask=batch.attention_mask, **keywords)

    for run in (generator.run_pass, bare) * 3:
        run()
    generator.take_raw()
    ratios: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        order = (generator.run_pass, bare) if len(ratios) % 2 else (bare, generator.run_pass)
        seconds = {run: _time(run, loaded.devices.synchronize) for run in order}
        ratios.append(seconds[generator.run_pass] / seconds[bare])
        generator.take_raw()
    median, low, high = _bootstrap(ratios)
    print(
        f"generation_overhead: measured pass / bare generate loop = {median:.4f} "
        f"(95 % interval of the median {low:.4f} to {high:.4f}, {len(ratios)} alternated pairs, limit {LIMIT})"
    )
    return median <= LIMIT


def _time(run: Callable[[], None], synchronize: Callable[[], None]) -> float:
    synchronize()
    start = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - start


def _bootstrap(values: list[float]) -> tuple[float, float, float]:
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return statistics.median(values), medians[50], medians[1949]
