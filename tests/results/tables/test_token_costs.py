"""J per prompt token and per output token, from requests whose true costs are known token by token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from results.made_up_records import made_up_plan

from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.tables.token_costs import token_costs, write_token_costs

LENGTHS = [(64, 16), (512, 16), (64, 128), (512, 128)]
SYNTHETIC = {"dataset": {"source": "synthetic"}}


def plan(lengths: list[tuple[int, int]], **other: Any) -> MeasuredPlan:
    return made_up_plan(
        {
            f"e{number}": {
                "setup_id": "l",
                "config": {"model": "m", "max_input_tokens": prompt, "max_output_tokens": output, **other},
            }
            for number, (prompt, output) in enumerate(lengths)
        }
    )


def request_j(prompt: int, output: int, context_j: float = 0.0, pair_j: float = 0.0) -> float:
    """One request, token by token: 4 J, 0.02 J per prompt token, 1.5 J per token after the first."""
    energy_j = 4.0
    for before in range(prompt):
        energy_j += 0.02 + pair_j * before
    for made in range(1, output):
        energy_j += 1.5 + context_j * (prompt + made)
    return energy_j


def runs(
    lengths: list[tuple[int, int]], *, replicates: int = 4, noise: float = 0.0, process: float = 0.0, **true: float
) -> pd.DataFrame:
    """noise: relative scatter of windows; process: of whole replicates"""
    draw = np.random.default_rng(3)
    rows = []
    for replicate in range(1, replicates + 1):
        common = draw.lognormal(0, process)
        for number, (prompt, output) in enumerate(lengths):
            full, first = (
                common * request_j(prompt, tokens, **true) * draw.lognormal(0, noise) for tokens in (output, 1)
            )
            rows.append(
                {
                    "experiment_id": f"e{number}",
                    "replicate": replicate,
                    "status": "ok",
                    "validity": "valid",
                    "energy_source": "measured:nvml-total-energy",
                    "boundary": "gpu",
                    "input_tokens": 10 * prompt,
                    "output_tokens": 10 * output,
                    "requests": 10,
                    "energy_per_request_j": full,
                    "prefill_energy_j": first,
                }
            )
    return pd.DataFrame(rows)


def test_a_suspect_run_does_not_count_where_two_others_remain() -> None:
    disturbed = runs(LENGTHS, context_j=0.001)
    disturbed.loc[disturbed["replicate"] == 2, ["energy_per_request_j", "prefill_energy_j"]] *= 1.5
    disturbed.loc[disturbed["replicate"] == 2, "validity"] = "suspect"
    (costs,) = token_costs(plan(LENGTHS), disturbed)
    assert costs.cost("request").n == 3 and costs.cost("request").mean == pytest.approx(4.0)


def test_true_costs_come_out() -> None:
    (costs,) = token_costs(plan(LENGTHS), runs(LENGTHS, context_j=0.001))
    assert costs.reason is None and costs.holds
    assert costs.experiments == ("e0", "e1", "e2", "e3")
    assert costs.terms == ("request", "prompt_token", "step", "context_token")
    true = {"request": 4.0, "prompt_token": 0.02, "step": 1.5, "context_token": 0.001}
    assert {name: costs.cost(name).mean for name in true} == pytest.approx(true)
    assert costs.cost("prompt_pair").mean is None
    assert costs.measured is not None
    # Two requests of 15 steps and two of 127, each step over what came before it.
    steps = [prompt + made for prompt, output in LENGTHS for made in range(1, output)]
    assert costs.measured.context == pytest.approx(np.mean(steps))
    assert costs.cost("output_token").mean == pytest.approx(1.5 + 0.001 * np.mean(steps))
    assert (costs.measured.prompt_low, costs.measured.prompt_high) == (64, 512)
    assert (costs.measured.output_low, costs.measured.output_high) == (1, 128)


def test_attention_of_the_prefill_is_a_term_where_prompts_have_one_length() -> None:
    lengths = [(128, 16), (1024, 16), (4096, 16), (1024, 64)]
    true = {"context_j": 1e-4, "pair_j": 2e-6}
    (costs,) = token_costs(plan(lengths, **SYNTHETIC), runs(lengths, **true))
    assert (costs.cost("context_token").mean, costs.cost("prompt_pair").mean) == pytest.approx((1e-4, 2e-6))
    (mixed,) = token_costs(plan(lengths), runs(lengths, **true))
    assert "prompt_pair" not in mixed.terms
    assert mixed.holds is False


def test_outputs_that_end_by_themselves_have_no_known_context() -> None:
    (costs,) = token_costs(plan(LENGTHS, fixed_output=False), runs(LENGTHS))
    assert costs.terms == ("request", "prompt_token", "step")
    assert costs.cost("output_token").mean == costs.cost("step").mean == pytest.approx(1.5)


def test_lengths_that_leave_nothing_to_test_the_model_with_get_the_smaller_one() -> None:
    lengths = [(64, 1), (512, 16)]
    (costs,) = token_costs(plan(lengths), runs(lengths, context_j=0.001, noise=0.001))
    assert costs.terms == ("request", "prompt_token", "step")


def test_intervals_cover_the_true_values_and_the_test_of_the_model_keeps_its_level() -> None:
    names = {"prompt_token": 0.02, "output_token": 1.5 + 0.002 * 352, "context_token": 0.002}
    held, rejected, studies = dict.fromkeys(names, 0), 0, 120
    true_runs = runs(LENGTHS, replicates=5, context_j=0.002)
    draw = np.random.default_rng(11)
    drawn = plan(LENGTHS)
    for _ in range(studies):
        noisy = true_runs.copy()
        # Nothing of this generator is normal or equal on the scale that the fit works on.
        for name in ("energy_per_request_j", "prefill_energy_j"):
            noisy[name] *= 1 + 0.01 * draw.gamma(9, 1 / 3, len(noisy)) - 0.03
        (costs,) = token_costs(drawn, noisy)
        assert costs.measured is not None and costs.lack_of_fit is not None
        names["output_token"] = 1.5 + 0.002 * costs.measured.context
        rejected += costs.lack_of_fit < 0.05
        for name, true in names.items():
            figure = costs.cost(name)
            assert figure.low is not None and figure.high is not None
            held[name] += figure.low <= true <= figure.high
    # 95 % and 5 % of 120, ± 3 standard errors.
    assert all(number / studies >= 0.89 for number in held.values()), held
    assert rejected / studies <= 0.11, rejected


def test_costs_that_are_no_function_of_this_kind_are_reported_as_such() -> None:
    """A process that is faster or slower as a whole is no lack of fit; a cost that saturates with the length is one."""
    steady = runs(LENGTHS, replicates=5, noise=0.002, process=0.1, context_j=0.001)
    (costs,) = token_costs(plan(LENGTHS), steady)
    assert costs.holds
    bent = steady.copy()
    bent.loc[bent["experiment_id"] == "e3", "energy_per_request_j"] *= 0.97
    (costs,) = token_costs(plan(LENGTHS), bent)
    assert costs.lack_of_fit is not None and costs.lack_of_fit < 1e-3
    assert costs.holds is False


def test_costs_that_cannot_be_separated_are_not_estimated() -> None:
    assert token_costs(plan(LENGTHS[:1]), runs(LENGTHS[:1])) == []
    same_prompts = [(64, 16), (64, 128)]
    (costs,) = token_costs(plan(same_prompts), runs(same_prompts))
    assert costs.cost("prompt_token").mean is None
    assert "cannot be separated" in str(costs.reason)


def test_only_lengths_may_differ_and_only_one_source() -> None:
    drawn = plan(LENGTHS)
    config = {**drawn.experiments["e3"].config, "model": "another"}
    drawn = replace(drawn, experiments={**drawn.experiments, "e3": replace(drawn.experiments["e3"], config=config)})
    (costs,) = token_costs(drawn, runs(LENGTHS))
    assert costs.experiments == ("e0", "e1", "e2")
    mixed = runs(LENGTHS)
    mixed.loc[0, "energy_source"] = "estimated:codecarbon"
    (costs,) = token_costs(plan(LENGTHS), mixed)
    assert costs.cost("prompt_token").mean is None
    assert costs.reason == "energy is of several sources or boundaries"


def test_the_number_of_prompts_is_not_a_length() -> None:
    """It decides how full the batches are: with 8 in a batch, 9 prompts are two batches, and 8 are one."""
    drawn = plan(LENGTHS[:2])
    config = {**drawn.experiments["e1"].config, "n_prompts": 9}
    drawn = replace(drawn, experiments={**drawn.experiments, "e1": replace(drawn.experiments["e1"], config=config)})
    assert token_costs(drawn, runs(LENGTHS[:2])) == []


def test_the_file_holds_every_set_and_why_one_has_no_figure(tmp_path: Path) -> None:
    same_prompts = [(64, 16), (64, 128)]
    costs = [
        *token_costs(plan(LENGTHS), runs(LENGTHS)),
        *token_costs(plan(same_prompts), runs(same_prompts)),
    ]
    write_token_costs(costs, tmp_path / "token_costs.csv")
    first, second = pd.read_csv(tmp_path / "token_costs.csv").to_dict("records")
    assert first["energy_per_output_token_j_mean"] == pytest.approx(1.5)
    assert first["terms"] == "request prompt_token step context_token"
    assert (first["replicates"], first["holds"], first["output_tokens_high"]) == (4, True, 128)
    assert pd.isna(second["energy_per_output_token_j_mean"]) and "cannot be separated" in second["reason"]
    write_token_costs([], tmp_path / "none.csv")
    assert pd.read_csv(tmp_path / "none.csv").empty
