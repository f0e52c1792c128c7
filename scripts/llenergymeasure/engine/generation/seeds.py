"""Seeds of sampling: what a pass draws depends on the experiment's seed, on the replicate and on the pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PassSeeds:
    """The seeds of successive passes.

    experiment: random_seed, which the first pass of every series has in every replicate, so that its outputs can be
        compared; replicate: from 1, and 0 outside a measurement
    """

    experiment: int
    replicate: int = 0

    def seed(self, pass_index: int) -> int:
        """Of that pass of a series, from 0. The later passes draw for themselves in each replicate, so that a window,
        and an interval over replicates, is over sampled outputs and not over one sample."""
        if pass_index == 0:
            return self.experiment
        # Hashed: with experiment + pass, the second pass of seed 42 would repeat the first one of seed 43.
        sequence = np.random.SeedSequence(self.experiment, spawn_key=(self.replicate, pass_index))
        return int(sequence.generate_state(1, np.uint64)[0])
