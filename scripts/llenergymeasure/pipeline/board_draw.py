"""Which GPUs a job takes: drawn and balanced, so that no model setup is tied to a board.

Boards of one model differ by some percent in power and speed, and so do the gains of their sensors. All visible boards
are put in a ring in an order drawn by the study's seed, and each replicate begins at the next place of the ring:

- jobs that run one at a time begin at the same place in the same replicate, whatever their setup. Boards are blocks
  then: every setup is measured on the same boards equally often, and what boards add cancels between setups.
- jobs that run side by side cannot share a board, so each setup begins at a place of its own, also drawn.

Over as many replicates as there are boards, each setup begins at each of them once. Where another job holds a board,
the job takes the next free one in the ring. The record says which were drawn and which were used.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Draw:
    """seed: the study's; setup: id of the model setup; replicate: from 1, and 0 for jobs that are before them all."""

    seed: int
    setup: str
    replicate: int

    def ring(self, uuids: Iterable[str], *, side_by_side: bool) -> list[str]:
        """All of the boards, in the order in which this job wants them; the same for any order of `uuids`."""
        ring = sorted(uuids)
        random.Random(f"{self.seed}/boards").shuffle(ring)
        own = random.Random(f"{self.seed}/boards/{self.setup}").randrange(len(ring)) if side_by_side and ring else 0
        start = (self.replicate + own) % len(ring) if ring else 0
        return ring[start:] + ring[:start]
