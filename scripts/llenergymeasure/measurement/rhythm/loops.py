"""What repeated in a window, by the stamps of its passes: calls of the library, and decoding steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from llenergymeasure.energy.integration.step_aliasing import Cycles
from llenergymeasure.engine.generation.generation import Generation
from llenergymeasure.measurement.passes import Passes, Ran

# What repeats less often is as well read off its single pieces.
FEWEST = 10


def tell_loops(ran: Ran, passes: Passes) -> None:
    """Let the meters book the window again, now that its stamps can be read; the same in all processes.

    Pauses between its passes stay in its energy, and in its budget.
    """
    here = loops_from_timeline(passes.generator.timeline(ran.raw, ran.anchor))
    by_process = passes.group.gather((passes.devices.uuids(), here))
    ran.window.know_loops({uuid: loops for uuids, loops in by_process for uuid in uuids}, ran.paused_s)


def loops_from_timeline(timeline: Sequence[Generation] | None) -> list[Cycles]:
    """None where prefill and decode overlap: nothing is known to repeat then."""
    calls = timeline or ()
    steps = [step for call in calls for step in itertools.pairwise(call.steps_s)]
    kinds = (steps, [(call.start_s, call.end_s) for call in calls])
    return [_cycles(kind) for kind in kinds if len(kind) >= FEWEST]


def _cycles(kind: Sequence[tuple[float, float]]) -> Cycles:
    lasting = [(start_s, end_s) for start_s, end_s in kind if end_s > start_s]
    starts_s, ends_s = zip(*lasting, strict=True)
    return Cycles(np.array(starts_s), np.array(ends_s))
