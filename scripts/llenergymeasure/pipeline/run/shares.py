"""How many devices and cores a job holds.

On one machine one job at a time holds the devices, and no other job of the pipeline runs beside it. `--resources gpu=N`
offers N devices: then jobs measure side by side, each on its own devices and share of the cores. On a cluster the
scheduler decides. In every case a job's processes see the GPUs that its model setup claims, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llenergymeasure.pipeline.plan.plan_index import PlanIndex
from llenergymeasure.pipeline.run.call import Machine

Share = int | Callable[[Mapping[str, str]], int]
"""A number where it is the same for all setups, otherwise a function of a job's wildcards. Snakemake calls a function
for every job of its graph, and a study may have tens of thousands."""


class Shares:
    """devices: for the resources `gpu` and `quiet` of a job that holds a setup; threads: for its `threads`."""

    def __init__(self, index: PlanIndex, machine: Machine) -> None:
        self._index = index
        self._machine = machine
        self.devices = self._by_setup(self.devices_of_setup)
        self.threads = self._by_setup(self.threads_of_setup)

    def devices_of_setup(self, setup_id: str) -> int:
        claimed = self._index.setups[setup_id].devices
        offered = self._machine.devices
        if claimed is None:
            return offered
        if self._machine.is_local and (offered == 1 or self._index.exclusive_node):
            return offered
        # A model on the processor holds a place too: its own cores.
        return max(1, claimed)

    def threads_of_setup(self, setup_id: str) -> int:
        """The setup's share of this machine's cores; on a cluster the profile's `set-threads` decides."""
        if not self._machine.is_local:
            return 1
        return max(1, self._machine.cores * self.devices_of_setup(setup_id) // self._machine.devices)

    def _by_setup(self, share_of_setup: Callable[[str], int]) -> Share:
        shares = {share_of_setup(setup_id) for setup_id in self._index.setups}
        if len(shares) == 1:
            return shares.pop()
        return lambda wildcards: share_of_setup(self._index.setup_of_job(wildcards))
