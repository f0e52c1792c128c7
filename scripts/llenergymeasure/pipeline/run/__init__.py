"""One call of Snakemake: its study, plan and paths, and what the rules ask of them. Imports no torch."""
