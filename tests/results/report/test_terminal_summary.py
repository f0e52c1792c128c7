"""What the terminal says: one line per run, and a summary of five lines, whatever happened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from results.made_up_run import ESTIMATED
from results.record_changes import doubt, fail, ignore, warn, without_energy
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.pipeline.progress import outcome
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.results.report.terminal_summary import five_lines

REPORT = Path("results/study/report.html")


def summary(folder: StudyFolder) -> list[str]:
    lines = five_lines(folder.results(), REPORT).splitlines()
    assert len(lines) == 5
    assert lines[4].endswith("results/study/report.html")
    return lines


def test_names_the_best_with_interval_and_source(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    study, energy, speed, failures, _ = summary(folder)
    assert "4 experiments × 3 replicates: 4 measured" in study
    # Four at a time is fastest, sdpa is faster than eager, and the estimate is power × time.
    for line in (energy, speed):
        assert "attn_implementation=sdpa batch_size=4" in line
        assert "n = 3" in line
        assert (
            "distinguishable from all others, also from the second, attn_implementation=eager batch_size=4, which has "
            in line
        )
    interval = re.search(r"95 % interval (\d+) to (\d+), chosen among 4", speed)
    row = folder.read().summary.set_index("experiment_id").loc[folder.ids[1]]
    assert interval and int(interval[1]) < row["throughput_output_tokens_per_s_mean"] < int(interval[2])
    assert "[measured by nvml-total-energy]" in energy
    assert "no failures, no warnings" in failures


def test_of_estimated_energy_no_interval_and_no_difference_is_stated(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for place, replicate in product(range(4), (1, 2, 3)):
        folder.change(place, replicate, doubt("foreign-cpu-load", "others"))
    energy = summary(folder)[1]
    assert "[ESTIMATED by codecarbon]" in energy and "energy is estimated from time and load" in energy
    assert "its own runs are suspect (foreign-cpu-load)" in energy
    assert "95 %" not in energy and "distinguishable" not in energy


def test_measured_and_estimated_have_a_best_each(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for replicate in (1, 2, 3):
        folder.change(1, replicate, lambda record: record.update(energy_source=ESTIMATED))
    energy = summary(folder)[1]
    assert energy.index("measured by nvml-total-energy") < energy.index("ESTIMATED by codecarbon")


def test_failures_come_with_reasons(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", replicates=1)
    folder.change(1, 1, fail("load", "ImportError", "no flash\nattention"))
    folder.change(2, 1, ignore("pytorch.batch_size", "rows of 3"))
    folder.change(0, 1, warn("window-not-stable", "varies"))
    study, energy, speed, failures, _ = summary(folder)
    assert "2 measured, 1 failed, 1 invalid" in study
    assert "an estimate, n = 1" in energy
    assert "one replicate, no interval" in speed
    assert "1 failed, 1 invalid, 1 warning; " in failures
    assert "load: ImportError: no flash attention" in failures
    assert "pytorch.batch_size = 1 did not take effect" in failures


def test_the_line_of_a_run_says_why_it_is_invalid(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    reasons = [{"code": "ecc-errors", "severity": "invalid", "message": "2 uncorrected memory errors"}]
    folder.change(0, 1, lambda run: run.update(status="invalid", validity={"verdict": "invalid", "reasons": reasons}))
    record = next(record for record in _records(folder.write()) if record.status == "invalid")
    assert outcome(record).endswith("INVALID: 2 uncorrected memory errors")


def _records(folder: StudyFolder) -> Iterator[MeasurementRecord]:
    for path in folder.measurements():
        yield from map(MeasurementRecord.model_validate_json, path.read_bytes().splitlines())


def test_a_study_in_which_everything_failed_has_a_summary(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for experiment in range(4):
        for replicate in (1, 2, 3):
            folder.change(experiment, replicate, fail("load", "OutOfMemoryError", f"reason {experiment}"))
    study, energy, speed, failures, _ = summary(folder)
    assert "0 measured, 4 failed" in study
    assert "unknown" in energy
    assert "unknown" in speed
    assert "reason 0" in failures
    assert "and 2 more" in failures


def test_without_a_meter_energy_is_unknown_and_not_zero(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for experiment in range(4):
        for replicate in (1, 2, 3):
            folder.change(experiment, replicate, without_energy("NVML is not there"))
    _, energy, speed, *_ = summary(folder)
    assert "unknown" in energy
    assert "output tokens/s" in speed
