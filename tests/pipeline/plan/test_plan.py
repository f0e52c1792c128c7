"""The plan: sessions by setup, randomised blocks, append-only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.config import study_from_mapping
from llenergymeasure.pipeline.plan.plan import draw_plan, plan_from_study, replicate_order
from llenergymeasure.records.study.plan import Plan, PlanError, read_plan, write_plan


class Config:
    def __init__(self, name: str) -> None:
        self.name = name

    def model_dump(self, mode: str) -> dict[str, Any]:
        assert mode == "json"
        return {"name": self.name}


@dataclass(frozen=True)
class Point:
    experiment_id: str
    setup_id: str
    config: Config = field(compare=False)
    axes: dict[str, Any] = field(default_factory=dict)


def points(*names: str) -> list[Point]:
    """`a1` is experiment a1 of setup a."""
    return [Point(name, name[0], Config(name)) for name in names]


def draw(*names: str, existing: Plan | None = None, **changes: Any) -> Plan:
    settings = {"study": "s", "seed": 0, "isolation": "setup", "replicates": 3, "axes": [], **changes}
    return draw_plan(points=points(*names), existing=existing, **settings)


def members(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {session.session_id: session.experiments for session in plan.sessions}


def test_experiments_of_one_setup_share_a_session_and_every_session_is_in_every_block() -> None:
    plan = draw("a1", "b1", "a2", "b2", "c1")
    assert sorted(members(plan).values()) == [("a1", "a2"), ("b1", "b2"), ("c1",)]
    blocks = [plan.order[start : start + 3] for start in (0, 3, 6)]
    for replicate, block in enumerate(blocks, start=1):
        assert {entry[1] for entry in block} == {replicate}
        assert {entry[0] for entry in block} == set(members(plan))


def test_isolation_by_experiment_gives_each_its_own_session() -> None:
    plan = draw("a1", "a2", "b1", isolation="experiment")
    assert sorted(members(plan).values()) == [("a1",), ("a2",), ("b1",)]


def test_a_setup_with_very_many_experiments_is_divided_into_sessions_of_nearly_equal_size() -> None:
    names = [f"a{number}" for number in range(10)]
    plan = draw(*names, "b1", experiments_per_session=4)
    sizes = [len(session.experiments) for session in plan.sessions]
    assert sorted(sizes) == [1, 3, 3, 4]
    assert sorted(name for session in plan.sessions for name in session.experiments) == sorted([*names, "b1"])
    assert {session.setup_id for session in plan.sessions} == {"a", "b"}
    assert len(draw(*names, experiments_per_session=10).sessions) == 1
    assert len(draw(*names, experiments_per_session=1).sessions) == 10


def test_a_study_says_how_many_experiments_a_session_holds() -> None:
    def sessions(**measurement: int) -> list[int]:
        study = {
            "study": "s",
            "defaults": {"model": "random:llama"},
            "matrix": {"pytorch.batch_size": list(range(1, 121))},
            "measurement": measurement,
        }
        return [
            len(session.experiments) for session in plan_from_study(study_from_mapping(study), existing=None).sessions
        ]

    assert sessions() == [60, 60]
    assert sessions(experiments_per_session=50) == [40, 40, 40]
    assert sessions(experiments_per_session=120) == [120]


def test_the_order_differs_between_replicates_and_comes_from_the_seed_alone() -> None:
    names = [f"a{number}" for number in range(8)]
    plan = draw(*names)
    session = plan.sessions[0]
    orders = [replicate_order(plan, session, replicate) for replicate in (1, 2, 3)]
    assert all(sorted(order) == sorted(names) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert orders == [replicate_order(draw(*names), session, replicate) for replicate in (1, 2, 3)]
    assert orders != [replicate_order(draw(*names, seed=1), session, replicate) for replicate in (1, 2, 3)]


def test_a_plan_grows_by_new_sessions_after_the_old_ones() -> None:
    old = draw("a1", "a2", "b1")
    new = draw("a1", "a2", "a3", "b1", "c1", existing=old)
    assert members(old).items() <= members(new).items()
    assert set(members(new).values()) - set(members(old).values()) == {("a3",), ("c1",)}
    assert new.order[: len(old.order)] == old.order
    assert draw("a1", "a2", "a3", "b1", "c1", existing=new) == new


def test_what_leaves_the_study_leaves_the_plan_and_the_rest_keeps_its_session() -> None:
    old = draw("a1", "a2", "b1")
    new = draw("a1", existing=old)
    kept = new.sessions[0]
    assert kept.experiments == ("a1",)
    assert kept.session_id == next(session.session_id for session in old.sessions if "a1" in session.experiments)
    assert set(new.experiments) == {"a1"}


def test_more_replicates_are_appended() -> None:
    old = draw("a1", "b1", replicates=2)
    new = draw("a1", "b1", existing=old, replicates=4)
    assert new.order[:4] == old.order
    assert sorted({entry[1] for entry in new.order[4:]}) == [3, 4]


def test_another_isolation_redraws_but_equal_sessions_keep_their_id() -> None:
    old = draw("a1", "a2")
    apart = draw("a1", "a2", existing=old, isolation="experiment")
    assert sorted(members(apart).values()) == [("a1",), ("a2",)]
    assert members(draw("a1", "a2", existing=apart)) == members(old)


def test_an_old_plan_without_a_reference_is_given_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    record = draw("a1", "b1").to_dict()
    del record["reference"]
    path.write_text(json.dumps(record))
    old = read_plan(path)
    new = draw("a1", "b1", existing=old)
    assert new.reference == "a1"
    assert new.reference_session == next(session.session_id for session in new.sessions if "a1" in session.experiments)
    assert old is not None
    assert new.order == old.order


def test_a_plan_survives_being_written_and_read(tmp_path: Path) -> None:
    plan = draw("a1", "a2", "b1")
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json")
    assert again == plan
    assert again is not None
    assert again.digest == plan.digest
    assert [again.position(*entry) for entry in again.order] == list(range(6))


def test_a_broken_plan_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert read_plan(path) is None
    for text in ("{", "[]", "{}", json.dumps({"schema_version": 99})):
        path.write_text(text)
        with pytest.raises(PlanError, match=r"plan\.json.*delete it"):
            read_plan(path)


def reading(**digests: str) -> Any:
    """Inputs of the experiments of that name: what each of them reads, as a digest."""
    return lambda intent: {"dataset": digests[intent["name"]]} if intent["name"] in digests else {}


def test_an_experiment_whose_inputs_changed_is_planned_apart_and_the_others_stay() -> None:
    first = draw("a1", "a2", "b1", inputs=reading(a1="x", a2="y"))
    assert draw("a1", "a2", "b1", existing=first, inputs=reading(a1="x", a2="y")) == first
    second = draw("a1", "a2", "b1", existing=first, inputs=reading(a1="x", a2="z"))
    (old,) = (name for name, session in members(first).items() if session == ("a1", "a2"))
    assert members(second)[old] == ("a1",)
    (new,) = (name for name, session in members(second).items() if session == ("a2",))
    assert new not in members(first)
    assert second.experiments["a2"].inputs == {"dataset": "z"}
    assert [entry for entry in second.order if entry[0] == new] == [(new, 1), (new, 2), (new, 3)]
    assert [entry for entry in second.order if entry[0] != new] == list(first.order)


def test_the_same_content_again_is_the_same_session_again() -> None:
    first = draw("a1", "a2", inputs=reading(a1="x", a2="x"))
    second = draw("a1", "a2", existing=first, inputs=reading(a1="y", a2="y"))
    assert not members(first).keys() & members(second).keys()
    assert draw("a1", "a2", existing=second, inputs=reading(a1="x", a2="x")) == first


def test_an_input_that_is_not_there_has_not_changed() -> None:
    first = draw("a1", "a2", inputs=reading(a1="x", a2="x"))
    assert draw("a1", "a2", existing=first, inputs=reading(a1="x")) == first
    assert draw("a1", "a2", existing=first) == first
