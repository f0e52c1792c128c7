"""The order of a rerun: another one, so that what depends on the first order does not pass for what repeats itself.

The seed of the study orders measurements and boards, and nothing else: prompts have seeds of their own (`sample_seed`,
`random_seed`), which belong to the experiments and stay.
"""

from __future__ import annotations

import random
from dataclasses import replace

from llenergymeasure.config import Study
from llenergymeasure.pipeline.plan.plan import plan_from_study, replicate_order
from llenergymeasure.records.study.plan import Plan, Session, digest_of_value

# A study of a few sessions has few orders. So many are drawn before the old one is accepted.
DRAWS = 20
_SEED_DIGITS = 8
# These take the sessions, and the experiments of a session, as the plan lists them.
_AS_LISTED = ("sequential", "interleaved", "reverse")


def reordered(study: Study, plan: Plan) -> tuple[Study, Plan]:
    """The study with another seed, and its plan in the order of that seed. Both follow from the plan and its name."""
    for number in range(DRAWS):
        seed = int(digest_of_value([plan.digest, number])[:_SEED_DIGITS], 16)
        measurement = study.measurement.model_copy(update={"seed": seed})
        other = replace(study, config=study.config.model_copy(update={"measurement": measurement}))
        sessions = _shuffled(plan, seed) if plan.design in _AS_LISTED else plan.sessions
        drawn = plan_from_study(other, existing=replace(plan, sessions=sessions, order=()))
        if _whole_order(drawn) != _whole_order(plan):
            break
    return other, drawn


def _shuffled(plan: Plan, seed: int) -> tuple[Session, ...]:
    chance = random.Random(f"{seed}/sessions")
    sessions = [
        replace(session, experiments=tuple(chance.sample(session.experiments, len(session.experiments))))
        for session in plan.sessions
    ]
    chance.shuffle(sessions)
    return tuple(sessions)


def _whole_order(plan: Plan) -> list[tuple[str, int, list[str]]]:
    """Session, replicate and the order of the experiments inside, as they are measured."""
    return [(name, number, replicate_order(plan, plan.session(name), number)) for name, number in plan.order]
