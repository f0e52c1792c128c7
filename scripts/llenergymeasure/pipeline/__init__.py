"""Between Snakemake and a worker: plan, jobs, stages, limits. Imports no torch."""
