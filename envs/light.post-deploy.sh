#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
(cd "$locks" && sha256sum --check --quiet <<'HASHES'
0589b7c1ac2a780e756cc8d6924eb09e6c9e3c7dc9d85426d504339920a7f65b  light.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/light.txt"
