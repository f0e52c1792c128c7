"""`snakemake estimate`: what a study will take, before anything is measured. Every figure here is an estimate."""
