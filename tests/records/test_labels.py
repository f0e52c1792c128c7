"""Configurations are named by what differs between them."""

from __future__ import annotations

from typing import Any

from results.made_up_records import made_up_plan

from llenergymeasure.records.labels import as_text, configuration_parts, setup_parts
from llenergymeasure.records.study.plan import Plan


def plan(*axes: dict[str, Any], setups: str = "") -> Plan:
    return made_up_plan(
        {
            f"id{place}": {"axes": values, "setup_id": setups[place : place + 1] or "a"}
            for place, values in enumerate(axes)
        },
        axes=list(axes[0]),
    )


def labels(given: Plan) -> list[str]:
    return [as_text(parts) for parts in configuration_parts(given).values()]


def test_only_axes_that_differ_are_named() -> None:
    given = plan(
        {"pytorch.batch_size": 1, "pytorch.num_beams": 4, "pytorch.use_cache": True},
        {"pytorch.batch_size": 2, "pytorch.num_beams": 4, "pytorch.use_cache": False},
    )
    assert labels(given) == ["batch_size=1 use_cache=true", "batch_size=2 use_cache=false"]


def test_a_default_is_not_named_and_a_mapping_is_json() -> None:
    given = plan({"pytorch.load_in_8bit": None}, {"pytorch.load_in_8bit": True}, {"pytorch.load_in_8bit": {"a": 1}})
    assert labels(given) == ["library defaults", "load_in_8bit=true", 'load_in_8bit={"a": 1}']


def test_ambiguous_names_keep_their_path() -> None:
    given = plan({"pytorch.revision": "x", "dataset.revision": "y"}, {"pytorch.revision": "z", "dataset.revision": "w"})
    assert labels(given)[0] == "pytorch.revision=x dataset.revision=y"


def test_a_configuration_without_its_own_name_gets_its_id() -> None:
    assert labels(plan({})) == ["id0"]
    assert labels(plan({"a.b": 1}, {"a.b": 1})) == ["id=id0", "id=id1"]


def test_a_setup_is_named_by_what_its_experiments_share() -> None:
    given = plan(
        {"pytorch.attn_implementation": "sdpa", "pytorch.batch_size": 1},
        {"pytorch.attn_implementation": "sdpa", "pytorch.batch_size": 2},
        {"pytorch.attn_implementation": "eager", "pytorch.batch_size": 1},
        setups="aab",
    )
    named = {name: as_text(parts) for name, parts in setup_parts(given).items()}
    assert named == {"a": "attn_implementation=sdpa", "b": "attn_implementation=eager batch_size=1"}
    assert {name: as_text(parts) for name, parts in setup_parts(plan({"a": 1}, {"a": 2})).items()} == {
        "a": "all experiments"
    }
