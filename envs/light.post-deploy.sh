#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
(cd "$locks" && sha256sum --check --quiet <<'HASHES'
f70ea3cba6d0621a0502934228b91d1e6f810a44d15013eb2ea3dd7945682133  light.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/light.txt"
