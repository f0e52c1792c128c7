"""Measuring orders: what each promises about places, neighbours and drift."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from pipeline.plan.test_plan import draw

from llenergymeasure.pipeline.plan.order import block_order, williams_square
from llenergymeasure.pipeline.plan.plan import replicate_order
from llenergymeasure.records.study.plan import Stopping

NAMES = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 12])
def test_in_a_williams_square_each_place_and_each_neighbour_is_as_frequent_as_any_other(count: int) -> None:
    rows = williams_square(count)
    assert len(rows) == (count if count % 2 == 0 or count == 1 else 2 * count)
    assert all(sorted(row) == list(range(count)) for row in rows)
    places = Counter((place, member) for row in rows for place, member in enumerate(row))
    assert len(places) == count**2
    assert set(places.values()) == {len(rows) // count}
    neighbours = Counter(pair for row in rows for pair in pairwise(row))
    assert len(neighbours) == count * (count - 1)
    assert len(set(neighbours.values())) <= 1


def test_replicates_walk_through_the_rows_of_the_square_and_begin_again() -> None:
    orders = [block_order(NAMES, "williams", replicate, "seed") for replicate in range(1, 21)]
    assert len({tuple(order) for order in orders[:10]}) == 10
    assert orders[10:] == orders[:10]
    assert orders[0] != block_order(NAMES, "williams", 1, "another")


def test_reverse_turns_every_second_block_so_that_a_steady_drift_cancels() -> None:
    orders = [block_order(NAMES, "reverse", replicate, "seed") for replicate in (1, 2, 3, 4)]
    assert orders == [NAMES, NAMES[::-1]] * 2
    places = {name: sum(block * 5 + order.index(name) for block, order in enumerate(orders)) for name in NAMES}
    assert len(set(places.values())) == 1


@pytest.mark.parametrize("design", ["sequential", "interleaved"])
def test_an_order_that_is_not_random_is_the_studys(design: str) -> None:
    assert [block_order(NAMES, design, replicate, "seed") for replicate in (1, 2)] == [NAMES, NAMES]


def test_sessions_follow_the_design() -> None:
    names = ("a1", "b1", "c1", "d1")

    def setups(design: str) -> list[str]:
        plan = draw(*names, design=design, replicates=4)
        return [plan.session(session_id).setup_id for session_id, _ in plan.order]

    assert setups("sequential") == [name for name in "abcd" for _ in range(4)]
    assert setups("interleaved") == list("abcd" * 4)
    assert setups("reverse") == list("abcddcba" * 2)
    square = setups("williams")
    blocks = [square[start : start + 4] for start in range(0, 16, 4)]
    assert set(Counter(pair for block in blocks for pair in pairwise(block)).values()) == {1}
    assert setups("randomised") != setups("interleaved")


def test_the_order_inside_a_session_follows_it_too() -> None:
    plan = draw("a1", "a2", "a3", design="reverse")
    assert [replicate_order(plan, plan.sessions[0], replicate) for replicate in (1, 2)] == [
        ["a1", "a2", "a3"],
        ["a3", "a2", "a1"],
    ]


@pytest.mark.parametrize("design", ["randomised", "sequential", "interleaved", "reverse", "williams"])
def test_a_study_grows_after_what_was_planned(design: str) -> None:
    old = draw("a1", "b1", design=design, replicates=2)
    new = draw("a1", "b1", "c1", existing=old, design=design, replicates=3)
    assert new.order[: len(old.order)] == old.order
    assert sorted(new.order) == sorted(
        {(session.session_id, number) for session in new.sessions for number in (1, 2, 3)}
    )
    assert draw("a1", "b1", "c1", existing=new, design=design, replicates=3).order == new.order


def test_another_design_draws_another_order() -> None:
    old = draw("a1", "b1", "c1", "d1", design="interleaved")
    assert draw("a1", "b1", "c1", "d1", existing=old, design="reverse").order != old.order


def test_a_study_that_stops_by_itself_has_an_order_for_as_many_replicates_as_there_may_be() -> None:
    stopping = Stopping(target_relative_ci=0.01, metric="e2e_latency_s", max_replicates=7, budget_s=None)
    plan = draw("a1", "b1", stopping=stopping)
    assert plan.most_replicates == 7
    assert {number for _, number in plan.order} == set(range(1, 8))
    assert draw("a1", "b1").most_replicates == 3
