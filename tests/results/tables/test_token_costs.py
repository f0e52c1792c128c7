"""J per prompt token and per output token, from windows whose true costs are known."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from results.made_up_records import made_up_plan

from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.tables.token_costs import token_costs, write_token_costs

PROMPT_J, OUTPUT_J, REQUEST_J = 0.02, 1.5, 4.0


def plan(lengths: list[tuple[int, int]], **other: Any) -> MeasuredPlan:
    return made_up_plan(
        {
            f"e{number}": {
                "setup_id": "l",
                "config": {
                    "model": "m",
                    "max_input_tokens": prompt,
                    "max_output_tokens": output,
                    "n_prompts": 4,
                    **other,
                },
            }
            for number, (prompt, output) in enumerate(lengths)
        }
    )


def runs(
    lengths: list[tuple[int, int]], *, replicates: int = 4, noise: float = 0.0, curve: float = 0.0
) -> pd.DataFrame:
    rng = random.Random(3)
    rows = []
    for replicate in range(1, replicates + 1):
        for number, (prompt, output) in enumerate(lengths):

            def cost(output_tokens: int, prompt: int = prompt) -> float:
                energy_j = REQUEST_J + PROMPT_J * prompt + OUTPUT_J * output_tokens + curve * prompt**2
                return energy_j * (1 + rng.gauss(0, noise))

            rows.append(
                {
                    "experiment_id": f"e{number}",
                    "replicate": replicate,
                    "status": "ok",
                    "energy_source": "measured:nvml-total-energy",
                    "boundary": "gpu",
                    "input_tokens": 10 * prompt,
                    "output_tokens": 10 * output,
                    "requests": 10,
                    "energy_per_request_j": cost(output),
                    "prefill_energy_j": cost(1),
                }
            )
    return pd.DataFrame(rows)


LENGTHS = [(64, 16), (512, 16), (64, 128), (512, 128)]


def test_true_costs_come_out() -> None:
    (costs,) = token_costs(plan(LENGTHS), runs(LENGTHS))
    assert costs.reason is None and costs.linear
    assert costs.experiments == ("e0", "e1", "e2", "e3")
    assert costs.prompt_token_j.mean == pytest.approx(PROMPT_J)
    assert costs.output_token_j.mean == pytest.approx(OUTPUT_J)
    assert costs.request_j.mean == pytest.approx(REQUEST_J)


def test_intervals_cover_the_true_value() -> None:
    held = 0
    rng = random.Random(1)
    for _ in range(40):
        noisy = runs(LENGTHS)
        for name in ("energy_per_request_j", "prefill_energy_j"):
            noisy[name] *= [1 + rng.gauss(0, 0.01) for _ in range(len(noisy))]
        (costs,) = token_costs(plan(LENGTHS), noisy)
        assert costs.output_token_j.low is not None and costs.output_token_j.high is not None
        held += costs.output_token_j.low <= OUTPUT_J <= costs.output_token_j.high
    assert held >= 34


def test_a_cost_that_is_not_a_straight_line_is_reported_as_such() -> None:
    lengths = [(64, 16), (256, 16), (1024, 16)]
    (costs,) = token_costs(plan(lengths), runs(lengths, curve=1e-3))
    assert not costs.linear
    assert costs.largest_miss is not None and costs.largest_miss > 0.1


def test_costs_that_cannot_be_separated_are_not_estimated() -> None:
    assert token_costs(plan(LENGTHS[:1]), runs(LENGTHS[:1])) == []
    same_prompts = [(64, 16), (64, 128)]
    (costs,) = token_costs(plan(same_prompts), runs(same_prompts))
    assert costs.prompt_token_j.mean is None
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
    assert costs.prompt_token_j.mean is None
    assert costs.reason == "energy is of several sources or boundaries"


def test_the_file_holds_every_set_and_why_one_has_no_figure(tmp_path: Path) -> None:
    same_prompts = [(64, 16), (64, 128)]
    costs = [
        *token_costs(plan(LENGTHS), runs(LENGTHS)),
        *token_costs(plan(same_prompts), runs(same_prompts)),
    ]
    write_token_costs(costs, tmp_path / "token_costs.csv")
    first, second = pd.read_csv(tmp_path / "token_costs.csv").to_dict("records")
    assert first["energy_per_output_token_j_mean"] == pytest.approx(OUTPUT_J)
    assert (first["replicates"], first["linear"]) == (4, True)
    assert pd.isna(second["energy_per_output_token_j_mean"]) and "cannot be separated" in second["reason"]
    write_token_costs([], tmp_path / "none.csv")
    assert pd.read_csv(tmp_path / "none.csv").empty
