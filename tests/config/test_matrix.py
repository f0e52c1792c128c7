"""What a study runs: product over defaults − exclude + include + experiments, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from llenergymeasure.config import Study, study_from_mapping

MODEL = "random:llama?hidden_size=64&seed=7"
GREEDY = {"model": MODEL, "decoder": {"do_sample": False}}


def study(**parts: Any) -> Study:
    parts.setdefault("defaults", GREEDY)
    return study_from_mapping({"study": "a", **parts})


def batches(made: Study) -> list[tuple[int, int | None]]:
    return [(config.n_prompts, config.pytorch.batch_size) for config in made.expand()]


def test_defaults_alone_are_one_experiment() -> None:
    assert len(study().expand()) == 1
    assert len(study(matrix={}, include=[], experiments=[], exclude=[]).expand()) == 1


def test_product_last_path_fastest() -> None:
    made = study(matrix={"n_prompts": [10, 20], "pytorch.batch_size": [1, 2]})
    assert batches(made) == [(10, 1), (10, 2), (20, 1), (20, 2)]
    assert made.expansion().axes == ["n_prompts", "pytorch.batch_size"]
    assert dict(made.expansion().experiments[1].axes) == {"n_prompts": 10, "pytorch.batch_size": 2}


def test_no_phantom_run_beside_experiments_or_include() -> None:
    assert batches(study(experiments=[{"n_prompts": 10}, {"n_prompts": 20}])) == [(10, None), (20, None)]
    assert batches(study(include=[{"n_prompts": 10}])) == [(10, None)]


def test_everything_together() -> None:
    made = study(
        matrix={"n_prompts": [10, 20], "pytorch.batch_size": [1, 2]},
        exclude=[{"n_prompts": 20, "pytorch.batch_size": 2}],
        include=[{"n_prompts": 30}],
        experiments=[{"n_prompts": 40, "pytorch": {"batch_size": 4}}],
    )
    assert batches(made) == [(10, 1), (10, 2), (20, 1), (30, None), (40, 4)]


def test_exclude_leaves_entries_alone_and_takes_lists() -> None:
    made = study(
        matrix={"pytorch.batch_size": [1, 2, 4]},
        exclude=[{"pytorch.batch_size": [2, 4]}],
        include=[{"pytorch.batch_size": 4}],
    )
    assert batches(made) == [(100, 1), (100, 4)]


def test_exclude_sees_defaults_and_presets() -> None:
    made = study(
        defaults={"model": MODEL},
        matrix={"decoder.preset": ["deterministic", "standard"], "n_prompts": [10, 20]},
        exclude=[{"decoder.do_sample": False, "fixed_output": True, "n_prompts": 20}],
    )
    assert [(config.decoder.preset, config.n_prompts) for config in made.expand()] == [
        ("deterministic", 10),
        ("standard", 10),
        ("standard", 20),
    ]


def test_exclude_by_a_nested_entry_and_null() -> None:
    made = study(
        matrix={"pytorch.attn_implementation": [None, "eager"], "pytorch.load_in_8bit": [None, True]},
        exclude=[{"pytorch": {"attn_implementation": None, "load_in_8bit": True}}],
    )
    assert len(made.expand()) == 3


def test_excluded_points_are_not_checked() -> None:
    made = study(
        matrix={"pytorch.prompt_lookup_num_tokens": [None, 3], "pytorch.batch_size": [1, 2]},
        exclude=[{"pytorch.prompt_lookup_num_tokens": 3, "pytorch.batch_size": 2}],
    )
    assert len(made.expand()) == 3


def test_exclude_that_matches_nothing_is_a_warning() -> None:
    made = study(matrix={"n_prompts": [1]}, exclude=[{"n_prompts": "1"}, {"n_prompts": True}, {"n_prompts": 11}])
    assert [(item.rule, item.path) for item in made.expansion().warnings] == [
        ("exclude-unmatched", f"exclude[{position}]") for position in range(3)
    ]


def test_merging_is_deep() -> None:
    shared = {
        "model": MODEL,
        "pytorch": {"attn_implementation": "eager", "batch_size": 2},
        "decoder": {"do_sample": False},
        "passthrough_kwargs": {"generate": {"renormalize_logits": True}},
    }
    made = study(
        defaults=shared,
        matrix={"pytorch": [{"use_cache": False}, {"batch_size": 4}]},
        include=[{"pytorch": {"num_beams": 2}, "passthrough_kwargs": {"generate": {"epsilon_cutoff": 0.5}}}],
    )
    first, second, third = (config.pytorch for config in made.expand())
    assert (first.attn_implementation, first.batch_size, first.use_cache) == ("eager", 2, False)
    assert (second.attn_implementation, second.batch_size, second.use_cache) == ("eager", 4, None)
    assert (third.attn_implementation, third.batch_size, third.num_beams) == ("eager", 2, 2)
    assert made.expand()[2].passthrough_kwargs.generate == {"renormalize_logits": True, "epsilon_cutoff": 0.5}
    assert shared["pytorch"] == {"attn_implementation": "eager", "batch_size": 2}


def test_a_settings_own_mapping_replaces_the_other() -> None:
    defaults = {**GREEDY, "pytorch": {"max_memory": {"cpu": "1GiB"}}}
    made = study(defaults=defaults, experiments=[{"pytorch": {"max_memory": {0: "2GiB"}}}])
    assert made.expand()[0].pytorch.max_memory == {0: "2GiB"}


def test_dotted_and_nested_keys_are_the_same() -> None:
    dotted = study(experiments=[{"pytorch.batch_size": 2, "decoder.repetition_penalty": 1.5}])
    nested = study(experiments=[{"pytorch": {"batch_size": 2}, "decoder": {"repetition_penalty": 1.5}}])
    assert dotted.expand() == nested.expand()


def test_decoder_paths_are_decoder_paths() -> None:
    made = study(defaults={"model": MODEL}, matrix={"decoder.temperature": [0.5, 0.9], "n_prompts": [10, 20]})
    assert [(config.decoder.temperature, config.n_prompts) for config in made.expand()] == [
        (0.5, 10),
        (0.5, 20),
        (0.9, 10),
        (0.9, 20),
    ]


def test_duplicates_are_merged_and_listed() -> None:
    made = study(
        matrix={"decoder": [{"preset": "deterministic"}, {"do_sample": False}], "n_prompts": [10]},
        defaults={"model": MODEL},
        include=[{"n_prompts": 10, "decoder": {"do_sample": False}}],
    )
    expansion = made.expansion()
    assert len(expansion.experiments) == 1
    kept = expansion.experiments[0].experiment_id
    assert [entry["experiment_id"] for entry in expansion.duplicates] == [kept, kept]
    assert expansion.duplicates[0]["axes"] == {"decoder": {"do_sample": False}, "n_prompts": 10}


def test_what_the_library_treats_alike_is_pointed_out_and_kept() -> None:
    made = study(matrix={"pytorch.use_cache": [None, True, False], "n_prompts": [10, 20]})
    assert len(made.expand()) == 6
    (warning,) = made.expansion().warnings
    assert (warning.rule, warning.path) == ("points-alike", "matrix.pytorch.use_cache[1]")
    assert "null and true are the same to the library (2 pairs" in warning.message


def test_experiments_that_are_alike_are_found_where_one_says_more() -> None:
    made = study(experiments=[{"pytorch.num_beams": 1}, {}, {"n_prompts": 20}])
    (warning,) = made.expansion().warnings
    assert warning.path == "experiments[0].pytorch.num_beams"
    assert warning.message.startswith("1 and null are the same")


def test_different_settings_are_not_called_alike() -> None:
    made = study(matrix={"pytorch.attn_implementation": [None, "sdpa", "eager"], "n_prompts": [1, 2]})
    assert made.expansion().warnings == []


def test_axes_of_written_out_experiments_are_what_differs() -> None:
    made = study(experiments=[{"n_prompts": 10, "precision": "fp32"}, {"n_prompts": 20, "precision": "fp32"}])
    assert made.expansion().axes == ["n_prompts"]
    assert [point.axes["n_prompts"] for point in made.expansion().experiments] == [10, 20]


def test_axes_of_included_points() -> None:
    made = study(
        matrix={"pytorch": [{"attn_implementation": "eager"}], "n_prompts": [10]},
        include=[{"pytorch": {"use_cache": False}, "random_seed": 1}],
    )
    point = made.expansion().experiments[1]
    assert dict(point.axes) == {"pytorch": {"use_cache": False}, "n_prompts": 100, "random_seed": 1}


def test_points_of_one_setup_share_a_setup_id() -> None:
    made = study(matrix={"pytorch.attn_implementation": ["eager", "sdpa"], "pytorch.batch_size": [1, 2]})
    setups = [point.setup_id for point in made.expansion().experiments]
    assert setups[0] == setups[1] != setups[2] == setups[3]
    assert all(len(point.experiment_id) == 12 for point in made.expansion().experiments)


def test_invalid_points_are_skipped_and_recorded() -> None:
    made = study(
        invalid="skip", matrix={"pytorch.prompt_lookup_num_tokens": [None, 3], "pytorch.batch_size": [1, 2, "4"]}
    )
    assert len(made.expand()) == 3
    skipped = made.expansion().skipped
    assert [entry["axes"]["pytorch.batch_size"] for entry in skipped] == ["4", 2, "4"]
    assert skipped[1]["problems"][0]["rule"] == "prompt-lookup-needs-single-batch"


def test_id_collisions_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    from llenergymeasure.config import StudyError
    from llenergymeasure.config.study import expansion

    digests: Callable[..., str] = lambda settings: "0" * 12 + f"{settings['n_prompts']:052d}"  # noqa: E731
    monkeypatch.setattr(expansion, "config_hash_from_settings", digests)
    with pytest.raises(StudyError, match="share the id 000000000000"):
        study(matrix={"n_prompts": [10, 20]})


def test_ten_thousand_points_are_fast() -> None:
    start = time.process_time()
    made = study(
        matrix={
            "n_prompts": list(range(200, 300)),
            "pytorch.batch_size": list(range(1, 11)),
            "max_output_tokens": list(range(1, 11)),
        }
    )
    assert len(made.expand()) == 10_000
    # 2.3 s of CPU time on 2 cores of 2024; the margin is for slower ones.
    assert time.process_time() - start < 8
