"""Figures that are not metrics of a single run: columns of the tables, with their denominators. For docs/metrics.md."""

from __future__ import annotations

from collections.abc import Mapping

FILES: Mapping[str, Mapping[str, str]] = {
    "`runs.parquet` and `summary.*`, beside the metrics": {
        "<metric>_u_random": "of one run: standard uncertainty for what is new in each window (edges, noise, "
        "baseline), in the metric's unit",
        "<metric>_u_gain": "of one run: standard uncertainty for the largest gain of a device, in the metric's unit",
        "<metric>_u_other_gains": "of one run: the same for the gains of further devices, in quadrature",
        "<metric>_n": "replicates that the mean is over",
        "<metric>_expanded95": "half width of the 95 % interval of the mean, including the instrument's uncertainty, "
        "in the metric's unit",
        "<metric>_ratio": "geometric mean over replicates, over that of the reference; `_ci95_low`, `_ci95_high` hold "
        "for all experiments at once",
        "replicates": "valid replicates",
        "warnings": "warnings of all replicates, one per kind and replicate",
        "load_s": "seconds of loading: from_pretrained until the devices are done, once per setup",
        "load_energy_j": "gross joules of that, all devices, of one kind of source",
        "compile_s": "seconds of the first generation of a setup that compiles, once per setup; empty for others",
        "compile_energy_j": "gross joules of that",
        "resident_bytes": "bytes of parameters and buffers after loading, over all processes",
        "output_match_first_difference": "index of the first output token that is not the reference's, over "
        "all requests of one pass, from 0",
        "output_match_equal_token_share": "positions with the reference's token, over the positions of the longer "
        "output",
        "output_match_reference_logprob": "mean natural log-probability of the reference's output tokens, over those "
        "tokens",
    },
    "`latencies.csv`: one row per experiment and latency, in seconds": {
        "n": "values: of `ttft_s` and `e2e_latency_s` the requests of all valid replicates, of `itl_s` each single "
        "interval between two tokens (the metric `tpot_s` is the mean over requests of their means)",
        "p5": "5th percentile over these values, interpolated linearly between neighbours",
        "p25": "25th percentile",
        "p50": "median",
        "p75": "75th percentile",
        "p95": "95th percentile",
        "p99": "99th percentile",
        "largest": "largest value",
    },
    "`token_costs.csv`: one row per set of experiments that differ in lengths alone": {
        "energy_per_prompt_token_j": "J for each further prompt token of a request",
        "energy_per_output_token_j": "J for each further output token of a request",
        "energy_per_request_j": "J of a request whatever its length",
        "replicates": "replicates with a fit of their own; the mean and its interval are over them",
        "largest_miss": "largest distance between the energy of a window and the fitted one, over the former",
    },
    "`costs.csv`: one row per experiment": {
        "emissions_kg_per_million_output_tokens": "kg CO₂e over a million output tokens",
        "electricity_price_per_million_output_tokens": "price of the electricity, in `currency`, over a million output "
        "tokens",
        "machine_price_per_million_output_tokens": "price of the machine's time, in `currency`, over a million output "
        "tokens",
        "pue": "energy of the facility over that of its machines, as stated",
        "grid_intensity_kg_per_kwh": "kg CO₂e over a kilowatt-hour, as stated or of the country",
        "electricity_price_per_kwh": "`currency` over a kilowatt-hour, as stated",
        "machine_price_per_hour": "`currency` over an hour, as stated",
    },
    "`comparison.csv`: of a rerun, one row per experiment and metric": {
        "old": "`_mean` of the study that is repeated, over its valid replicates, in the metric's unit",
        "old_n": "replicates that this mean is over",
        "new": "`_mean` of the rerun",
        "new_n": "replicates that this mean is over",
        "ratio": "geometric mean over the rerun's replicates, over that of the study it repeats; `_ci95_low`, "
        "`_ci95_high` hold for all experiments of the metric at once",
    },
}
# Many columns are followed by their intervals.
SUFFIXES = ("", "_mean", "_ci95_low", "_ci95_high")
