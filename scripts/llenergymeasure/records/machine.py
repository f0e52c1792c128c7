"""The packages, devices and meters of a record."""

from __future__ import annotations

from typing import Any, Literal

from llenergymeasure.records.record import Record


class Libraries(Record):
    """Versions that only a process with torch knows; None for each that torch was built without."""

    cuda: str | None
    cudnn: str | None
    nccl: str | None


class PlacementRecord(Record):
    """Which devices the job held, of how many workers on the machine, and on which cores.

    drawn: the devices in the order in which they were drawn at random; alone: no other job measured at the time
    """

    workers: int
    devices: tuple[str, ...]
    drawn: tuple[str, ...]
    cores: tuple[int, ...]
    alone: bool


class EnvironmentRecord(Record):
    """Software and machine. `fingerprint` names the versions of all packages; `libraries` is None where a job failed
    before a worker had loaded. `machine_id` is the same in all results of one installation of an operating system, and
    None where the machine has no id of its own (pipeline/provenance/machine_id.py).
    """

    fingerprint: str
    python: str
    packages: dict[str, str | None]
    system: str
    cpu: str
    hostname: str
    git_commit: str | None
    git_dirty: bool | None
    models_lock_sha256: str | None
    placement: PlacementRecord
    libraries: Libraries | None = None
    machine_id: str | None = None


class Device(Record):
    """An accelerator that held parameters of the model."""

    index: int
    uuid: str
    name: str
    memory_bytes: int
    compute_capability: str


class Devices(Record):
    """The devices that held the model. `processes`: those of each process, the first included, where several did."""

    kind: Literal["cpu", "cuda"]
    devices: tuple[Device, ...] = ()
    threads: int | None = None
    affinity: int | None = None
    processes: tuple[Devices, ...] = ()

    @property
    def of_all_processes(self) -> tuple[Device, ...]:
        """Every accelerator that held parameters, in whichever process."""
        return tuple(device for part in self.processes or (self,) for device in part.devices)

    def names(self, cpu: str) -> tuple[str, ...]:
        """One name per accelerator; the processor's name where there are none."""
        return tuple(device.name for device in self.of_all_processes) or (cpu,)


class RefusedMeter(Record):
    """A meter that could not be opened, or a device that it could not read, and why.

    device: its name for the meter; None where the reason is about a part that has no name
    """

    meter: str
    device: str | None = None
    reason: str


class Meters(Record):
    """What measured what. A meter describes itself and its devices with keys of its own; each names its `meter`."""

    meters: tuple[dict[str, Any], ...]
    devices: tuple[dict[str, Any], ...]
    refused: tuple[RefusedMeter, ...]
