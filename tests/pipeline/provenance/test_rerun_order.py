"""A rerun measures in an order of its own, and everything else stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pipeline.provenance.rerun_folder import begun

from llenergymeasure.config import load_study
from llenergymeasure.pipeline.plan.plan import plan_from_study, replicate_order
from llenergymeasure.pipeline.plan.plan_index import index_from_plan
from llenergymeasure.pipeline.provenance.provenance import keep_provenance
from llenergymeasure.pipeline.provenance.rerun import Rerun, asked_for, open_rerun
from llenergymeasure.pipeline.provenance.rerun_record import keep_rerun_of, read_rerun_of
from llenergymeasure.pipeline.provenance.rerun_source import RerunError
from llenergymeasure.records.study.plan import Plan, write_plan

OLD = Path("results/quick")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reopened(**config: Any) -> Rerun:
    return open_rerun(asked_for({"from": str(OLD), **config}))


def test_a_plan_that_grew_keeps_its_sessions_and_its_order() -> None:
    first = begun(OLD)
    begun(Path("other/quick"), matrix={"pytorch.batch_size": [1, 2, 3], "pytorch.attn_implementation": ["sdpa"]})
    plan = plan_from_study(load_study("other/quick.yaml"), existing=first)
    assert len(plan.sessions) == 2
    write_plan(plan, Path("other/quick/plan.json"))
    rerun = open_rerun(asked_for({"from": "other/quick", "order": "same"}))
    assert (rerun.plan.sessions, rerun.plan.order) == (plan.sessions, plan.order)


def inside(plan: Plan) -> list[list[str]]:
    """The experiments of each job, as they are measured."""
    return [replicate_order(plan, plan.session(name), number) for name, number in plan.order]


@pytest.mark.parametrize("order", ["randomised", "sequential", "interleaved", "reverse", "williams"])
def test_a_rerun_has_an_order_of_its_own_and_nothing_else_of_its_own(order: str) -> None:
    matrix = {"pytorch.attn_implementation": ["sdpa", "eager"], "n_prompts": [3, 4, 5]}
    before = begun(OLD, matrix=matrix, measurement={"order": order, "replicates": 3})
    rerun = reopened()
    plan = rerun.plan
    assert plan.seed == rerun.study.measurement.seed != before.seed
    assert (plan.order, inside(plan)) != (before.order, inside(before))
    assert sorted(plan.order) == sorted(before.order)
    same = {*before.to_dict()} - {"study", "seed", "sessions", "order"}
    assert {name: plan.to_dict()[name] for name in same} == {name: before.to_dict()[name] for name in same}
    # The same prompts: what the experiments ask for, seeds included, is the same.
    assert [entry.config for entry in plan.experiments.values()] == [
        entry.config for entry in before.experiments.values()
    ]
    members = {session.session_id: sorted(session.experiments) for session in before.sessions}
    assert {session.session_id: sorted(session.experiments) for session in plan.sessions} == members
    if order == "sequential":
        sessions = [name for name, _ in plan.order]
        assert sessions == sorted(sessions, key=sessions.index)
    # The next call goes on with it, and another rerun has another order.
    assert reopened().plan == plan
    assert reopened(study="again").plan.seed != plan.seed


def test_a_rerun_can_be_repeated_in_its_own_order() -> None:
    begun(OLD, measurement={"order": "reverse"})
    first = reopened()
    new = Path("results/quick-rerun")
    write_plan(first.plan, new / "plan.json")
    keep_provenance(new, first.study, index_from_plan(first.plan), written=[], lock=first.lock, root=Path())
    again = open_rerun(asked_for({"from": str(new), "order": "same"}))
    assert (again.plan.order, again.plan.sessions, again.plan.seed) == (
        first.plan.order,
        first.plan.sessions,
        first.plan.seed,
    )


def test_a_study_of_one_experiment_has_only_one_order() -> None:
    before = begun(OLD, matrix={"pytorch.batch_size": [1]})
    assert reopened().plan.order == before.order


def test_a_rerun_that_has_begun_keeps_its_order() -> None:
    before = begun(OLD)
    new = Path("results/quick-rerun")
    begun(new)
    keep_rerun_of(new, OLD, before, "same")
    of = read_rerun_of(new)
    assert of is not None and (of.order, of.seed) == ("same", 7)
    assert reopened(order="same").plan.order == before.order
    with pytest.raises(RerunError, match="was begun with order=same; set that, or give"):
        reopened()


def test_the_order_of_the_plan_is_followed_however_it_came_about() -> None:
    before = begun(OLD)
    path = OLD / "plan.json"
    record = json.loads(path.read_text("utf-8"))
    record["order"].reverse()
    path.write_text(json.dumps(record), "utf-8")
    assert reopened(order="same").plan.order == before.order[::-1]
