"""What this machine has, and lacks, for the study: `snakemake doctor`."""
