"""What read the joules of a run: the same thing only where its name is the only one."""

from __future__ import annotations

from pathlib import Path

import pytest
from results.made_up_run import MadeUpRun
from results.record_changes import measured_by
from results.study_folder import MEASURED, study_folder

from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.results.tables.measured_under import instruments_of_run

MACHINES = ("1" * 32, "2" * 32)
RAPL = "measured:rapl"


@pytest.mark.parametrize(
    ("source", "device", "machine", "is_one"),
    [
        (RAPL, "package-0", MACHINES[0], True),
        # The same processor, and the same name, in another machine.
        (RAPL, "package-0", MACHINES[1], False),
        (RAPL, "package-1", MACHINES[0], False),
        (RAPL, "package-0", None, False),
        ("measured:zeus", "package-0", MACHINES[1], False),
    ],
)
def test_a_package_is_one_instrument_on_one_machine(
    source: str, device: str, machine: str | None, is_one: bool
) -> None:
    assert (instruments(source, device, machine) == instruments(RAPL, "package-0", MACHINES[0])) == is_one
    assert (instruments(source, device, machine) is None) == (machine is None)


def test_a_board_is_the_same_instrument_in_another_machine() -> None:
    one = instruments(MEASURED, "GPU-a", MACHINES[0])
    assert one == instruments(MEASURED, "GPU-a", MACHINES[1]) == instruments(MEASURED, "GPU-a", None)
    assert one not in (None, instruments(MEASURED, "GPU-b", MACHINES[0]))


def instruments(source: str, device: str, machine: str | None) -> frozenset[str] | None:
    folder = study_folder(Path("study"), matrix={"pytorch.batch_size": [1]})
    record = MadeUpRun(folder.plan, folder.ids[0], folder.plan.sessions[0].session_id, 1, source, 4, 8).record()
    measured_by(source, device, machine)(record)
    return instruments_of_run(MeasurementRecord.from_plain(record))
