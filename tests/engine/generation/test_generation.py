"""Generation measures what was asked: same answer in a batch, compiled code where compiled code was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from engine.conftest import PROMPTS, Runner

from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.seeds import PassSeeds
from llenergymeasure.engine.loading.compilation import counts, since


def test_a_batch_gives_what_its_prompts_give_one_by_one(run: Runner) -> None:
    together = run(pytorch={"batch_size": 3})
    apart = run(pytorch={"batch_size": 1})
    assert len(set(together.outputs)) == 3
    assert together.outputs == apart.outputs


def test_fixed_output_gives_every_row_its_length_and_free_running_stops_at_the_end_token(run: Runner) -> None:
    fixed = run()
    assert {len(output) for output in fixed.outputs} == {8}
    first = fixed.outputs[0][2]
    free = run(fixed_output=False)
    # Make a token that this model really generates the end of a sequence.
    free.loaded.model.generation_config.eos_token_id = first
    free.generator.eos_token_ids = frozenset({first})
    free.generator.run_pass()
    row = free.generator.read(free.generator.take_raw())[0].row
    place = fixed.outputs[0].index(first)
    assert row.output_ids == fixed.outputs[0][: place + 1]
    assert row.stop_reason == "eos"


@pytest.mark.parametrize(
    "pytorch",
    [{}, {"batch_size": 3}, {"cache_implementation": "static"}, {"use_cache": False}, {"batching": "continuous"}],
    ids=str,
)
def test_a_prefill_only_pass_is_one_forward_a_batch(run: Runner, pytorch: dict[str, Any]) -> None:
    """The library may one day look at the answer of a stopping criterion a step late (`DeferredStopCheck`)."""
    done = run(pytorch=pytorch)
    forwards: list[int] = []
    done.loaded.model.register_forward_hook(lambda *_: forwards.append(1))
    done.generator.run_pass(prefill_only=True)
    batches = 1 if pytorch.get("batch_size") or pytorch.get("batching") else 3
    assert len(forwards) == batches
    (raw,) = done.generator.take_raw()
    if "batching" not in pytorch:
        assert [len(item.marks) for item in raw] == [1] * batches
        assert [item.sequences.shape[1] - item.batch.width for item in raw] == [1] * batches
    done.generator.close()


def test_stamps_cover_every_token_and_stay_inside_the_batch(run: Runner) -> None:
    generator = run(pytorch={"batch_size": 2}).generator
    generator.run_pass()
    generator.run_pass()
    raw = generator.take_raw()
    requests = generator.read(raw)
    assert [(item.pass_index, item.request_index) for item in requests] == [(p, r) for p in (0, 1) for r in (0, 1, 2)]
    for request in requests:
        assert len(request.itl_s) == len(request.row.output_ids) - 1 == 7
        assert 0 < request.ttft_s < request.ttft_s + sum(request.itl_s) <= request.e2e_latency_s
        assert request.tpot_s == pytest.approx(sum(request.itl_s) / 7)
    short = requests[0]
    assert short.padded_tokens == requests[1].input_tokens - short.input_tokens > 0
    assert generator.pass_seconds(raw[0]) >= max(
        request.e2e_latency_s for request in requests if request.pass_index == 0
    )


def test_a_prefill_only_pass_ends_after_the_first_token_with_the_same_shapes(run: Runner) -> None:
    generator = run().generator
    generator.run_pass(prefill_only=True)
    (raw_pass,) = generator.take_raw()
    assert [len(item.marks) for item in raw_pass] == [1, 1, 1]
    assert [item.sequences.shape[1] - item.batch.width for item in raw_pass] == [1, 1, 1]


@pytest.mark.parametrize("settings", [{"num_beams": 3}, {"prompt_lookup_num_tokens": 2}, {"use_cache": False}])
def test_other_decoding_modes_are_stamped_token_by_token_too(run: Runner, settings: dict[str, int]) -> None:
    generator = run(pytorch=settings).generator
    generator.run_pass()
    for request in generator.read(generator.take_raw()):
        assert len(request.row.output_ids) == 8
        assert len(request.itl_s) == 7
        assert request.ttft_s + sum(request.itl_s) <= request.e2e_latency_s


def test_equal_seeds_give_equal_samples_and_others_differ(run: Runner) -> None:
    sampling = {"decoder": {"do_sample": True}}
    assert run(random_seed=1, **sampling).outputs == run(random_seed=1, **sampling).outputs
    assert run(random_seed=1, **sampling).outputs != run(random_seed=2, **sampling).outputs


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_the_first_pass_of_a_series_has_the_experiments_seed_and_later_ones_their_own(
    run: Runner, batching: str
) -> None:
    # The library's thread takes up requests as they come: what it draws for one depends on those beside it.
    prompts = PROMPTS if batching == "static" else PROMPTS[:1]
    done = run(prompts, decoder={"do_sample": True}, pytorch={"batching": batching})
    generator = done.generator

    def series(passes: int, replicate: int) -> list[list[tuple[int, ...]]]:
        generator.seeds = PassSeeds(generator.seeds.experiment, replicate)
        for _ in range(passes):
            generator.run_pass()
        return [[item.row.output_ids for item in generator.read([raw])] for raw in generator.take_raw()]

    first, again, other = series(3, 1), series(3, 1), series(2, 2)
    generator.close()
    assert first[0] == again[0] == other[0] == done.outputs
    assert first[1:] == again[1:]
    assert len({str(outputs) for outputs in [*first, other[1]]}) == 4


def test_seeds_of_passes_repeat_neither_in_an_experiment_nor_in_the_next_one() -> None:
    drawn = [PassSeeds(seed, replicate).seed(p) for seed in range(5) for replicate in (1, 2, 3) for p in range(1, 50)]
    assert len(set(drawn)) == len(drawn)
    assert {PassSeeds(7, replicate).seed(0) for replicate in (0, 1, 2)} == {7}


def test_compiling_compiles_and_the_window_compiles_nothing_more(run: Runner) -> None:
    before = counts()
    done = run(pytorch={"torch_compile": True, "torch_compile_backend": "eager"})
    assert since(before)["frames_compiled"] > 0
    for _ in range(2):
        done.generator.run_pass()
    warm = counts()
    done.generator.run_pass()
    assert since(warm)["frames_seen"] == 0
    assert done.evidence["pytorch.torch_compile"]["verdict"] == "applied"


def test_nothing_is_compiled_unasked(run: Runner) -> None:
    entry = run().evidence["pytorch.torch_compile"]
    assert (entry["effective"], entry["verdict"]) == (False, "default")


def test_an_attention_kernel_that_is_not_installed_is_a_failure_of_the_experiment(run: Runner) -> None:
    with pytest.raises(ExperimentFailure) as failure:
        run(precision="bf16", pytorch={"attn_implementation": "flash_attention_2"})
    assert failure.value.stage == "load"
    assert failure.value.error_class == "ImportError"
    assert "FlashAttention2" in failure.value.reason
