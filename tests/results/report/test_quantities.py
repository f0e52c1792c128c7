"""Numbers the way they are shown."""

from __future__ import annotations

import pytest

from llenergymeasure.results.report.formatting import choose_scale, percent, significant, unit_scale
from llenergymeasure.results.statistics.estimates import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (52.134, "52.1"),
        (0.000312, "0.000312"),
        (999.6, "1 000"),
        (123456.0, "123 000"),
        (-1.5, "-1.50"),
        (3.2e-9, "3.20e-09"),
        (8.1e12, "8.10e+12"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("mean", "half", "texts"),
    [
        (52.134, 1.27, ("52.1", "1.3")),
        (2816.0, 340.0, ("2 820", "340")),
        (1.17420, 0.00021, ("1.174", "0.0002")),
        (2.8, 31.0, ("2.8", "31.0")),
        (5.0, 0.0, ("5.000", "0")),
        (34.0, 7e-15, ("34.00", "0")),
        (34.0, 4e-10, ("34.00", "4e-10")),
    ],
)
def test_as_many_digits_as_the_interval_allows(mean: float, half: float, texts: tuple[str, str]) -> None:
    scale = choose_scale("throughput_output_tokens_per_s", [mean])
    assert scale.estimate(Estimate(3, mean, mean - half, mean + half)) == texts


def test_one_replicate_shows_no_interval() -> None:
    assert choose_scale("tpot_s", [0.0193]).estimate(Estimate(1, 0.0193, None, None)) == ("19.3", None)


def test_a_column_has_one_prefix() -> None:
    assert choose_scale("ttft_s", [0.1, 0.2, 1.5]).unit == "ms"
    assert choose_scale("energy_per_output_token_j", [0.1, None, 0.3]).unit == "mJ/output token"
    assert choose_scale("peak_memory_bytes", [4e8, 6e8]).unit == "MB"
    assert choose_scale("peak_memory_bytes", [1.5]).unit == "B"
    assert choose_scale("throughput_output_tokens_per_s", [1e6]).unit == "output tokens/s"
    assert unit_scale("s", [4000.0]).unit == "s"
    assert unit_scale("J", []).unit == "J"
    assert unit_scale("s", [0.25]).value(0.25) == "250"


def test_percent() -> None:
    assert percent(0.577) == "58 %"
    assert percent(0.021) == "2.1 %"
