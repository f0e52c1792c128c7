"""Where everything under results/ is, and what it is: for paths, the table in results/README.md and the RO-Crate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file or folder, which ends with a slash.

    pattern: path in the folder of a study, with `<name>` for each part that is chosen later
    text: what it is, as Markdown
    beside: further files in the same folder that the text is of, too
    """

    pattern: str
    text: str
    beside: tuple[str, ...] = ()

    def at(self, folder: Path, **names: object) -> Path:
        """The path, with every `<name>` of the pattern filled in."""
        return folder / re.sub(r"<(\w+)>", lambda part: str(names[part[1]]), self.pattern)

    def next_to(self, folder: Path, name: str) -> Path:
        """One of the files beside it."""
        assert name in self.beside, name
        return self.at(folder).with_name(name)


# Shared by all studies, in results/models/.
SNAPSHOT = Entry(
    "<name>@<revision>/", "a model as a verified snapshot, shared by all studies; `snapshot.json` lists the file hashes"
)
QUANTIZED = Entry(
    "<name>@<revision>.quantized-<hash>/",
    "its weights as bitsandbytes quantized them, for all setups and studies that quantize in the same way; or the "
    "reason why each process quantizes for itself",
)
MODEL_LOGS = Entry("logs/", "what the jobs that made them printed")
MODELS = (SNAPSHOT, QUANTIZED, MODEL_LOGS)

# Of one study, in results/<study>/.
PLAN = Entry("plan.json", "which experiments share a process, and the order in which everything is measured")
PIECES = Entry(
    "plan/",
    "the plan split for the jobs: an index, and one piece per setup and session; when the run began, what failed in it",
)
VALIDATION = Entry("validation.json", "what the machine and the libraries refuse or warn about, before anything runs")
PROMPTS = Entry(
    "prompts/<name>@<revision>.json",
    "per model: whether its tokenizer and chat template read every prompt of the study, their digests, and the "
    "rows of the embedding",
)
LOAD = Entry("setups/<setup_id>/load.json", "what loading (and compiling) cost, with evidence")
COMPILE_CACHE = Entry(
    "setups/<setup_id>/compile-cache/",
    "what torch compiled, for the study or for transformers itself, kept for the setup's later processes; empty where "
    "nothing is compiled",
)
CALIBRATION = Entry("sessions/<session_id>/calibration.json", "warm-up trajectory, number of passes per window")
TEMPERATURES = Entry(
    "temperatures.json",
    "where devices report their temperature: how warm each got in the calibrations, which decides how warm it is when "
    "a window begins; written before the first measurement, and never changed for a board",
)
OUTPUTS = Entry(
    "sessions/<session_id>/outputs.parquet",
    "prompt and output tokens of each request in the warm-up's first pass; none for an experiment whose logits were "
    "not finite",
)
MEASUREMENTS = Entry(
    "sessions/<session_id>/<replicate>/measurements.jsonl",
    "one line per experiment: intent, evidence, energy ledger, metrics with their budgets, validity, comparison of "
    "outputs",
)
REQUESTS = Entry(
    "sessions/<session_id>/<replicate>/requests.parquet", "one row per request: tokens, TTFT, inter-token latencies"
)
POWER = Entry(
    "sessions/<session_id>/<replicate>/power.parquet",
    "the power trace at full rate; no rows where energy is an estimate, which has no trace",
)
RUNS = Entry("runs.parquet", "one row per experiment and replicate")
SUMMARY = Entry("summary.csv", "one row per experiment: means and 95 % intervals", beside=("summary.parquet",))
INTERIM = Entry(
    "interim/<replicates>.json",
    "in a study with `target_relative_ci`: how precise its figure was after that many replicates, and why the study "
    "continued or ended",
)
LATENCIES = Entry(
    "latencies.csv",
    "percentiles of TTFT and end-to-end latency (from submission, and in service) over all requests, and of the gaps "
    "between tokens; the median, 95th and 99th with intervals",
)
TOKEN_COSTS = Entry(
    "token_costs.csv",
    "what a prompt token, an output token and a request cost, for experiments that differ only in lengths; no rows "
    "if there are none",
)
COSTS = Entry("costs.csv", "carbon and money per million output tokens, from the figures that `costs` states")
REPORT = Entry(
    "report.html",
    "the page to read, and the summary in five lines; in a study with hundreds of configurations, each table shows 200 "
    "rows and names the file that has the rest",
    beside=("summary.txt",),
)
COMPARISON = Entry(
    "comparison.csv",
    "in a rerun: each experiment and metric against the study it repeats, with ratios, intervals, and whether it is "
    "the same, different or not known",
)
TOGETHER = Entry(
    "together/together.csv",
    "of `snakemake together`, several results folders of one study: repeatability, reproducibility and a consensus "
    "value of each experiment and metric, also as a page and in short; and per folder the mean with Mandel's h and k",
    beside=("together.html", "together.txt", "folders.csv"),
)
WRITTEN = Entry(
    "provenance/study.yaml",
    "the study's file as it was written; numbered where there were several",
    beside=("study-<number>.yaml",),
)
RESOLVED = Entry(
    "provenance/resolved.yaml",
    "the study as it was run: file and command line together, with every default; it is a study file itself",
)
PINS = Entry("provenance/models.lock.yaml", "commits and file hashes of its hub models")
CALLS = Entry(
    "provenance/calls.jsonl",
    "one line per call of snakemake that had something to do: when, the pipeline's commit, the plan",
)
ENVIRONMENTS = Entry(
    "provenance/environments/",
    "every environment that the study was measured with: all packages, and the lock it was installed from",
)
RERUN_OF = Entry(
    "provenance/rerun_of.json",
    "in a rerun: the study that it repeats, with the packages and the machine of that study, and whether the order is "
    "new",
)
CRATE = Entry(
    "ro-crate-metadata.json",
    "a machine-readable description of all files, as [RO-Crate](https://www.researchobject.org/ro-crate/) 1.3, Process "
    "Run Crate 0.6",
)
LOGS = Entry("logs/", "what a job's libraries printed, often nothing")
STUDY = (
    *(PLAN, PIECES, VALIDATION, PROMPTS, LOAD, COMPILE_CACHE, CALIBRATION, TEMPERATURES, OUTPUTS, MEASUREMENTS),
    *(REQUESTS, POWER),
    *(RUNS, SUMMARY, INTERIM, LATENCIES, TOKEN_COSTS, COSTS, REPORT, COMPARISON, TOGETHER),
    *(WRITTEN, RESOLVED, PINS, CALLS, ENVIRONMENTS, RERUN_OF, CRATE, LOGS),
)


@dataclass(frozen=True)
class Layout:
    """The paths of one study. `folder` is results/<study>. Rules fill in wildcards, like `{session_id}`."""

    folder: Path

    @property
    def plan(self) -> Path:
        return PLAN.at(self.folder)

    @property
    def pieces(self) -> Path:
        return PIECES.at(self.folder)

    @property
    def validation(self) -> Path:
        return VALIDATION.at(self.folder)

    @property
    def summary_csv(self) -> Path:
        return SUMMARY.at(self.folder)

    @property
    def summary_parquet(self) -> Path:
        return SUMMARY.next_to(self.folder, "summary.parquet")

    @property
    def runs(self) -> Path:
        return RUNS.at(self.folder)

    @property
    def latencies(self) -> Path:
        return LATENCIES.at(self.folder)

    @property
    def token_costs(self) -> Path:
        return TOKEN_COSTS.at(self.folder)

    @property
    def costs(self) -> Path:
        return COSTS.at(self.folder)

    @property
    def report(self) -> Path:
        return REPORT.at(self.folder)

    @property
    def summary_txt(self) -> Path:
        return REPORT.next_to(self.folder, "summary.txt")

    @property
    def comparison(self) -> Path:
        return COMPARISON.at(self.folder)

    @property
    def together(self) -> Path:
        return TOGETHER.at(self.folder)

    def beside_together(self, name: str) -> Path:
        return TOGETHER.next_to(self.folder, name)

    @property
    def crate(self) -> Path:
        return CRATE.at(self.folder)

    @property
    def logs(self) -> Path:
        return LOGS.at(self.folder)

    @property
    def provenance(self) -> Path:
        return self.resolved.parent

    @property
    def resolved(self) -> Path:
        return RESOLVED.at(self.folder)

    @property
    def pins(self) -> Path:
        return PINS.at(self.folder)

    @property
    def calls(self) -> Path:
        return CALLS.at(self.folder)

    @property
    def environments(self) -> Path:
        return ENVIRONMENTS.at(self.folder)

    @property
    def rerun_of(self) -> Path:
        return RERUN_OF.at(self.folder)

    def prompts(self, snapshot: str) -> Path:
        """snapshot: folder name of a model's snapshot, `<name>@<revision>`"""
        return PROMPTS.at(self.folder, name="", revision="").with_name(f"{snapshot}.json")

    def setup(self, setup_id: str) -> Path:
        return self.load(setup_id).parent

    def load(self, setup_id: str) -> Path:
        return LOAD.at(self.folder, setup_id=setup_id)

    def compile_cache(self, setup_id: str) -> Path:
        return COMPILE_CACHE.at(self.folder, setup_id=setup_id)

    def session(self, session_id: str) -> Path:
        return self.calibration(session_id).parent

    def calibration(self, session_id: str) -> Path:
        return CALIBRATION.at(self.folder, session_id=session_id)

    @property
    def temperatures(self) -> Path:
        return TEMPERATURES.at(self.folder)

    def outputs(self, session_id: str) -> Path:
        return OUTPUTS.at(self.folder, session_id=session_id)

    def replicate(self, session_id: str, replicate: int | str) -> Path:
        return self.measurements(session_id, replicate).parent

    def measurements(self, session_id: str, replicate: int | str) -> Path:
        return MEASUREMENTS.at(self.folder, session_id=session_id, replicate=replicate)

    def requests(self, session_id: str, replicate: int | str) -> Path:
        return REQUESTS.at(self.folder, session_id=session_id, replicate=replicate)

    def power(self, session_id: str, replicate: int | str) -> Path:
        return POWER.at(self.folder, session_id=session_id, replicate=replicate)

    def interim(self, replicates: int | str) -> Path:
        return INTERIM.at(self.folder, replicates=replicates)

    def interim_analyses(self) -> list[Path]:
        """The existing ones, in the order in which they were made."""
        return sorted(self.interim(0).parent.glob("*.json"), key=lambda path: int(path.stem))
