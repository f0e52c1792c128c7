"""One call of Snakemake: its study, plan and paths, and what the rules need of them. Imports no torch."""
