"""Every finding about a run, declared once: code, severity, what it means, what to do.

A new finding is one entry here, and the line that raises it (`Finding` or `warning` of records/finding.py). The tables
of docs/, the report and the summary's column `validity_codes` are derived from this catalogue; a code that is not in it
cannot be raised.
"""

from __future__ import annotations

from llenergymeasure.records.meter_findings import METER_FINDINGS
from llenergymeasure.records.severity import INVALID, SUSPECT, WARNING, Kind

# measurement.foreign_load, where a study does not set it: the assumed error of RAPL's package counter
# (energy/meters/rapl/energy.py) and the least difference between counter and power that is a finding. What others do
# below this share does not show.
FOREIGN_LOAD = 0.05

FINDINGS: dict[str, Kind] = {
    # Invalid: the run is not the one that was asked for.
    "setting-ignored": Kind(
        INVALID,
        "a setting did not take effect",
        "read the run's evidence: remove the setting, or use a model, device or library version that honours it",
    ),
    "logits-not-finite": Kind(
        INVALID,
        "the model's logits in the first warm-up pass contain NaN or infinity: its output is meaningless",
        "set `precision: bf16` or `fp32`, or another `attn_implementation`; check the model's weights",
    ),
    "recompiled-in-window": Kind(
        INVALID,
        "code was compiled while the window was open",
        "compile with fixed shapes (`cache_implementation: static`, one prompt length), or do not compile",
    ),
    "ecc-errors": Kind(
        INVALID,
        "uncorrected memory errors of the board rose while the window was open",
        "reset the board or measure on another one, and run again",
    ),
    "device-lost": Kind(
        INVALID,
        "the driver lost a device",
        "read the driver's log (`dmesg`), restart the driver or the machine, and run again",
    ),
    # Suspect: something disturbed the window, or it is not long or steady enough.
    "logits-not-checked": Kind(
        SUSPECT,
        "the model has its own way of generating, so its logits could not be checked",
        "read a few outputs (`outputs.parquet`) before you quote the figures",
    ),
    "graphs-recorded-in-window": Kind(
        SUSPECT,
        "CUDA graphs were recorded while the window was open",
        "raise `warmup.max_passes`, or compile without CUDA graphs (`mode: default`)",
    ),
    "compiler-gave-up": Kind(
        SUSPECT,
        "torch's compiler reached its recompile limit: new shapes run uncompiled",
        "use fewer different shapes: one batch size, one prompt length, a static cache",
    ),
    "throttled": Kind(
        SUSPECT,
        "clocks were held down for over 1 % of the window by heat, a slowdown of the hardware, a power brake or a "
        "slower board beside it (sync boost); a power cap alone is not meant",
        "cool the machine, or measure on another board",
    ),
    "clock-fell": Kind(
        SUSPECT,
        "the SM clock fell by more than 5 % from the first to the last third of the window",
        "warm up longer, lock the clocks (`nvidia-smi -lgc`), or cool the machine",
    ),
    "foreign-processes": Kind(
        SUSPECT,
        "a process that the study did not start kept the device's SMs busy for over 2 % of the window; where the "
        "driver does not report who used them, such a process had a compute context",
        "end the other process, or reserve the device, and run again",
    ),
    "foreign-cpu-load": Kind(
        SUSPECT,
        "other programs on the host took more than `measurement.foreign_load` (5 %) of the window's energy, or kept "
        "the threads of the measurement waiting for a core for more than that share of their time, or a hypervisor did",
        "end the other programs, or reserve the machine, and run again; or accept a larger `measurement.foreign_load`",
    ),
    "governor-changed": Kind(
        SUSPECT,
        "the frequency governor of a processor of the host changed in the window",
        "fix the governor (`cpupower frequency-set -g performance`) for the whole study",
    ),
    "counter-disagrees-with-power": Kind(
        SUSPECT,
        "counter and integrated power differ beyond their uncertainty, and by more than 5 %",
        "update the driver; compare both entries of the ledger, and say which one you quote",
    ),
    "sensor-aliased": Kind(
        SUSPECT,
        "the decoding steps, or the calls, keep step with a power sensor that looks at a part of each of its periods: "
        "what it misses of them is uncertain by more than 1 % of the energy",
        "raise `measurement.min_window_s`, so that more passes with pauses between them fit into a window; or change "
        "the time of a step a little (another `batch_size`)",
    ),
    "energy-missing": Kind(
        SUSPECT,
        "a meter that was open gave no figure for the window; the energy is empty, not 0",
        "read the entry's reason in the ledger; update the driver or name another meter in `energy.meters`",
    ),
    "trace-incomplete": Kind(
        SUSPECT,
        "the thread or process that reads a meter died or stalled: noise, throttling and clocks were not read to the "
        "end",
        "leave the host a free core, and run again",
    ),
    "baseline-missing": Kind(
        SUSPECT,
        "an idle window beside the run gave no power: net figures are empty, or use the other idle window alone and "
        "ignore drift",
        "read the ledger of the idle windows; quote gross figures",
    ),
    "baseline-not-settled": Kind(
        SUSPECT,
        "power still varied 20 s after the work that came before an idle window: net figures are too low if it was "
        "falling",
        "quote gross figures, or measure on a machine that does nothing else",
    ),
    "baseline-disturbed": Kind(
        SUSPECT,
        "others used the device or the host in an idle window beside the run: net figures are too low",
        "end the other programs and run again, or quote gross figures",
    ),
    "net-energy-negative": Kind(
        SUSPECT,
        "the window took less energy than idling for the same time",
        "look for other users of the device during the idle windows; quote gross figures",
    ),
    "decode-energy-negative": Kind(
        SUSPECT,
        "a request takes less energy than its prefill, by the two windows or by the trace",
        "raise `measurement.min_window_s` or `max_output_tokens`, so that decoding stands out",
    ),
    "prefill-energy-negative": Kind(
        SUSPECT,
        "the split of the trace gives a negative prefill energy",
        "use the figure of the prefill window (`prefill_energy_j`); longer prompts improve the figure of the trace",
    ),
    "window-too-short": Kind(
        SUSPECT,
        "the window is under 0.8 of `measurement.min_window_s`",
        "calibrate again: delete the session's folder and run again",
    ),
    "window-not-stable": Kind(
        SUSPECT,
        "its passes vary by more than 10 % (coefficient of variation)",
        "look for other load on the machine; raise `measurement.min_window_s`",
    ),
    "warmup-not-stable": Kind(
        SUSPECT,
        "latency or temperature still varied when the warm-up gave up",
        "raise `warmup.max_passes`, or find out what varies: other load, heat, clocks",
    ),
    "temperature-out-of-band": Kind(
        SUSPECT,
        "the window began warmer or colder than it was to begin, by more than `warmup.temperature_band_c`",
        "raise `warmup.temperature_timeout_s`, widen `warmup.temperature_band_c`, or give the machine steadier cooling",
    ),
    "energy-resolution-missed": Kind(
        SUSPECT,
        "the uncertainty from edges and noise is above `measurement.energy_resolution`",
        "raise `measurement.min_window_s`, or ask for a coarser resolution",
    ),
    # Warnings: the figures stand.
    "phases-disagree": Kind(
        WARNING,
        "the prefill energies from the prefill window and from the trace differ beyond their uncertainties",
        "quote the figure of the window for prefills that follow each other, and that of the trace for prefills "
        "between decodes",
    ),
    "power-limit-lowered": Kind(
        WARNING,
        "the board worked at its power limit for over 1 % of the window, and the limit is below the board's default",
        "nothing, if that is what you want to measure: say so with the figures; else restore the limit "
        "(`nvidia-smi -pl`)",
    ),
    "temperature-off-target": Kind(
        WARNING,
        "the experiment comes to rest at another temperature than the study's others are measured at; what that may "
        "change in its energy is in its budget (kind `temperature`)",
        "compare it with those that are as warm, or read its interval, which includes the difference",
    ),
    "outputs-vary": Kind(
        WARNING,
        "two passes with the same seed gave different outputs for a prompt (greedy: all passes of the window; sampled: "
        "the instrumented pass and the window's first)",
        "do not blame a setting for a different output: the kernels are not deterministic, which alone can change it",
    ),
    "speculation-fixed-output": Kind(
        WARNING,
        "tokens were guessed ahead (a draft model or prompt lookup) in outputs of a fixed length: behind its natural "
        "end, text repeats itself, which flatters speculation",
        "set `fixed_output: false` to compare speculation with plain decoding",
    ),
    "padding-replaced": Kind(
        WARNING,
        "the tokenizer's padding id has no row in the model's embedding, so another id is used for padding",
        "nothing, because padding is masked; or give the model a tokenizer that fits it",
    ),
    "memory-left-behind": Kind(
        WARNING,
        "the previous experiment in the same process left memory behind",
        "set `measurement.isolation: experiment` where the memory figure matters",
    ),
    "peak-of-the-process": Kind(
        WARNING,
        "the system does not let a process reset its peak memory: the figure is the peak since the process started",
        "measure on Linux with /proc/self/clear_refs, or read the peak as an upper bound",
    ),
    "state-left-behind": Kind(
        WARNING,
        "the libraries left state on the model that could not be reset to what it was after loading",
        "set `measurement.isolation: experiment`",
    ),
    "compiler-not-reset": Kind(
        WARNING,
        "the compiler could not be reset between two experiments of a process",
        "set `measurement.isolation: experiment`",
    ),
    "checkpoint-dequantized": Kind(
        WARNING,
        "the library undid the checkpoint's quantization",
        "install what the checkpoint's method needs, or name an unquantized model",
    ),
    "checkpoint-decompressed": Kind(
        WARNING,
        "the checkpoint's quantization was undone in the first forward pass: the weights are unpacked in memory",
        "use a method that computes with packed weights here, or read the figures as those of the unpacked model",
    ),
    "weights-unexpected": Kind(
        WARNING,
        "the files contain parameters that the model does not have; the library ignored them",
        "check that the model's class and the files belong together",
    ),
    "library-warning": Kind(
        WARNING,
        "a library logged a warning while the model loaded or first generated",
        "read the message",
    ),
    "model-setting": Kind(
        WARNING,
        "the model's own files decide a setting that the study does not name",
        "name the setting in the study",
    ),
    "end-token": Kind(
        WARNING,
        "no end token can end the output, so every request generates as many tokens as it may",
        "set `passthrough_kwargs.generate.stop_strings`, or use another model, if outputs should end earlier",
    ),
    "environment-changed": Kind(
        WARNING,
        "the session is measured with other packages than it was calibrated with",
        "delete the session's folder to calibrate again, or go back to the other environment",
    ),
    "neighbours-on-node": Kind(
        WARNING,
        "other GPUs of the machine were measured at the same time: they share its power and cooling",
        "set `measurement.exclusive_node: true` where the machine's limits matter",
    ),
    "positions-untrained": Kind(
        WARNING,
        "prompt and output together are longer than the model was made for: what it writes is undefined",
        "lower `max_output_tokens` or `max_input_tokens`, or compare energies alone",
    ),
    "gpu-not-used": Kind(
        WARNING,
        "a metered GPU does not hold parameters of the model",
        "hide it (CUDA_VISIBLE_DEVICES), or read its entries as idle energy",
    ),
    "gpu-not-metered": Kind(
        WARNING,
        "a GPU that holds parameters of the model has no meter: the sum of energies is unknown",
        "read the reason; update the driver or name another meter in `energy.meters`",
    ),
    "device-order": Kind(
        WARNING,
        "it is not certain which boards CUDA counts as its devices, or the model went to another board than was "
        "metered",
        "set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name boards by UUID in CUDA_VISIBLE_DEVICES",
    ),
    "visible-devices": Kind(
        WARNING,
        "CUDA_VISIBLE_DEVICES names a GPU that does not exist",
        "correct CUDA_VISIBLE_DEVICES",
    ),
    "processes-hidden": Kind(
        WARNING,
        "the driver does not show the processes of the board, so other programs cannot be distinguished from the "
        "study's",
        "share the host's process namespace with the container (`--pid=host`)",
    ),
    **METER_FINDINGS,
}
