"""What single meters may raise, beside their figures; a part of the catalogue in findings.py."""

from __future__ import annotations

from llenergymeasure.records.severity import WARNING, Kind

METER_FINDINGS: dict[str, Kind] = {
    "nvml-counter-refused": Kind(
        WARNING,
        "the board has an energy counter that is not used, because it also counts another chip",
        "nothing: power is integrated instead",
    ),
    "nvml-counter-missing": Kind(
        WARNING,
        "the board has no total-energy counter; power is integrated instead",
        "nothing; the uncertainty is larger",
    ),
    "nvml-sensor-missing": Kind(
        WARNING,
        "the board does not report one of its sensors",
        "nothing; its figures are empty",
    ),
    "power-sampler-died": Kind(
        WARNING,
        "the sampler of the boards ended before the window did",
        "leave the host a free core, and run again",
    ),
    "power-sampler-stalled": Kind(
        WARNING,
        "the sampler of the boards was delayed",
        "leave the host a free core, and run again",
    ),
    "power-read-failed": Kind(
        WARNING,
        "some readings of power failed",
        "update the driver if it happens often",
    ),
    "rapl-reader-died": Kind(
        WARNING,
        "the thread that reads RAPL counters ended before the window did",
        "leave the host a free core, and run again",
    ),
    "rapl-read-failed": Kind(
        WARNING,
        "some readings of a RAPL counter failed",
        "check the permissions of /sys/class/powercap",
    ),
    "zeus-all-gpus": Kind(
        WARNING,
        "Zeus's GPUs cannot be matched with those that hold the model, so all visible ones are counted",
        "hide the others with CUDA_VISIBLE_DEVICES",
    ),
    "codecarbon-failed": Kind(
        WARNING,
        "codecarbon logged a failure",
        "read the message; a part of the estimate may be missing",
    ),
    "codecarbon-settings-ignored": Kind(
        WARNING,
        "codecarbon's own settings files or CODECARBON_* variables exist and are not used",
        "state what you need in the study",
    ),
    "codecarbon-gpu-skipped": Kind(
        WARNING,
        "codecarbon would report the whole board for a MIG instance, so its GPU figure is not used",
        "nothing; NVML's entries stand",
    ),
}
