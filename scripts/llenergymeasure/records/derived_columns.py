"""Figures that are not metrics of a single run: columns of the tables, and what each is over. For docs/metrics.md."""

from __future__ import annotations

from collections.abc import Mapping

FILES: Mapping[str, Mapping[str, str]] = {
    "`runs.parquet` and `summary.*`, beside the metrics": {
        "<metric>_u_random": "of one run: standard uncertainty from what is new in each window (edges, noise, "
        "baseline), in the metric's unit",
        "<metric>_u_gain": "of one run: standard uncertainty from the largest gain of a device, in the metric's unit",
        "<metric>_u_other_gains": "of one run: the same for what else all runs share, in quadrature: the gains of the "
        "other devices, and how far the temperature may be from the study's",
        "<metric>_n": "number of replicates in the mean",
        "<metric>_expanded95": "of energy figures: half width of the 95 % interval of the mean, instrument included, "
        "in the metric's unit; empty where they are estimated or of one replicate",
        "begun_unix_s": "when the run began: seconds since 1970 by the machine's clock. It tells whether a study was "
        "measured in blocks",
        "<metric>_ratio": "geometric mean over replicates, divided by that of the reference, over the replicates that "
        "both have where they share processes or blocks; `_ci95_low`, `_ci95_high` hold for all experiments at once, "
        "and are empty for estimated joules. Of energy per output token, throughput and TTFT",
        "<metric>_ratio_with_suspects": "the same with all suspect runs; empty where none was left out",
        "replicates": "replicates that the figures rest on: not the failed and invalid ones, nor `suspect_left_out`",
        "suspect_left_out": "suspect replicates that they do not rest on, because two or more others remain",
        "warnings": "warnings of all replicates: each kind counts once per replicate",
        "load_s": "seconds of loading: from_pretrained until the devices have finished, once per setup",
        "load_energy_j": "gross joules of loading, all devices, from one kind of source",
        "compile_s": "seconds of the first generation of a setup that compiles, once per setup; empty where it "
        "does not compile",
        "compile_energy_j": "gross joules of compiling",
        "startup_break_even_requests": "requests whose energy (`energy_per_request_j_mean` each) equals "
        "`load_energy_j` plus `compile_energy_j`: a single figure, because a setup is loaded once",
        "reference_break_even_requests": "requests after which an experiment has taken less energy than the "
        "reference, loading and compiling of both included: the difference of their start-up energies over what a "
        "request saves; 0 where its start-up takes no more; empty where a request saves nothing",
        "slo_ttft_s": "the study's limit `slo.ttft_s` in seconds; empty where it sets none",
        "slo_tpot_s": "the study's limit `slo.tpot_s` in seconds; empty where it sets none",
        "resident_bytes": "bytes that the layers hold after loading (weights, scales, buffers), over all processes",
        "output_match_first_difference": "index, from 0, of the first output token that differs from the "
        "reference's, over all requests of one pass",
        "output_match_equal_token_share": "positions with the reference's token, divided by the positions of the "
        "longer output",
        "output_match_reference_logprob": "mean natural log-probability of the reference's output tokens, over those "
        "tokens",
    },
    "`latencies.csv`: one row per experiment and latency, in seconds": {
        "n": "number of values: one per request of all replicates that the figures rest on, for `itl_s` "
        "one per interval between two tokens (the metric `tpot_s` is the mean over requests of their means)",
        "prompts": "number of independent prompts among them: equal prompts are one, and so are the prompts of a "
        "batch, which share its steps",
        "p5": "5th percentile over these values, interpolated linearly between neighbours",
        "p25": "25th percentile",
        "p50": "median; `_ci95_low`, `_ci95_high` are over processes with these prompts",
        "p50_prompts": "`_ci95_low`, `_ci95_high`: the interval of the median over prompts and processes",
        "p75": "75th percentile",
        "p95": "95th percentile, with intervals as the median",
        "p95_prompts": "the interval of the 95th percentile over prompts and processes",
        "p99": "99th percentile, with intervals as the median",
        "p99_prompts": "the interval of the 99th percentile over prompts and processes",
        "largest": "largest value",
    },
    "`token_costs.csv`: one row per set of experiments that differ only in lengths": {
        "energy_per_prompt_token_j": "J per additional prompt token of a request",
        "energy_per_output_token_j": "J per additional output token of a request, at `context_tokens`",
        "energy_per_step_j": "J per decode step and request, without what depends on the context",
        "energy_per_context_token_j": "J per token that a decode step of a request attends to",
        "energy_per_prompt_pair_j": "J per pair of prompt tokens of a request: the later attends to the former",
        "energy_per_request_j": "J per request, whatever its length",
        "replicates": "replicates, each with its own fit; the mean and its interval are over them; estimated joules "
        "have no interval",
        "largest_miss": "largest difference between the energy of a window and the fitted one, divided by the former",
        "lack_of_fit_p": "p value of the F test that the model holds: mean residuals against their scatter between "
        "replicates; empty for estimated joules",
        "prompt_tokens_low": "fewest prompt tokens per request of a window",
        "prompt_tokens_high": "most prompt tokens per request of a window",
        "output_tokens_low": "fewest output tokens per request of a window; prefill-only windows have 1",
        "output_tokens_high": "most output tokens per request of a window",
        "context_tokens": "mean number of tokens that a decode step attends to",
    },
    "`costs.csv`: one row per experiment": {
        "emissions_kg_per_million_output_tokens": "kg CO₂e per million output tokens",
        "electricity_price_per_million_output_tokens": "price of the electricity, in `currency`, per million output "
        "tokens",
        "machine_price_per_million_output_tokens": "price of the machine's time, in `currency`, per million output "
        "tokens",
        "pue": "energy of the facility divided by that of its machines, as the study states it",
        "grid_intensity_kg_per_kwh": "kg CO₂e per kilowatt-hour, as the study states it, or the country's",
        "electricity_price_per_kwh": "`currency` per kilowatt-hour, as the study states it",
        "machine_price_per_hour": "`currency` per hour, as the study states it",
    },
    "`comparison.csv` of a rerun: one row per experiment and metric": {
        "old": "`_mean` of the repeated study, over its valid replicates, in the metric's unit",
        "old_n": "number of replicates in this mean",
        "new": "`_mean` of the rerun",
        "new_n": "number of replicates in this mean",
        "ratio": "geometric mean over the rerun's replicates, divided by that of the study it repeats; "
        "`_ci95_low`, `_ci95_high` hold for all experiments of the metric at once; `ratio_ci90_low`, `ratio_ci90_high` "
        "for this one alone, as two one-sided tests at 5 % need it",
        "old_compared": "number of replicates of the repeated study in the ratio: for joules, those of instruments "
        "that the rerun used too",
        "new_compared": "the same of the rerun",
        "margin": "smallest relative difference that matters: `verdict` is `same` if the 90 % interval lies inside "
        "1/(1 + `margin`) to 1 + `margin`, `different` if the 95 % interval lies wholly outside",
        "day_sd": "relative standard deviation from day to day that is assumed, and is in all intervals of the ratio",
    },
    "`together/together.csv`: one row per experiment and metric": {
        "folders": "number of results folders with a figure",
        "n": "number of replicates in all of them",
        "mean": "mean over all replicates, in the metric's unit",
        "repeatability_sd": "s_r: standard deviation of replicates in one folder, in the metric's unit",
        "between_sd": "s_L: standard deviation of what is new in each folder",
        "reproducibility_sd": "s_R: standard deviation of one replicate of any folder",
        "consensus": "mean over folders, weighted by Paule and Mandel; `_ci95_low`, `_ci95_high` are Student's",
        "consensus_u": "its standard uncertainty",
        "instruments": "number of different sets of instruments that gave the joules; empty where they cannot be told "
        "apart",
    },
    "`together/folders.csv`: one row per experiment, metric and folder": {
        "number": "place of the folder among those that were named, from 1",
        "n": "number of its replicates",
        "mean": "mean over them, in the metric's unit",
        "sd": "their standard deviation",
        "h": "Mandel's h: deviation of this mean from that over all replicates, divided by the standard deviation of "
        "the folders' means",
        "k": "Mandel's k: this standard deviation, divided by the quadratic mean of the folders'",
        "h_straggler": "critical value of |h| at 5 %, two-sided; empty for two folders",
        "h_outlier": "the same at 1 %",
        "k_straggler": "critical value of k at 5 %",
        "k_outlier": "the same at 1 %",
    },
}
# Many of them have columns with their intervals.
SUFFIXES = ("", "_mean", "_ci95_low", "_ci95_high", "_ci90_low", "_ci90_high")
