#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
(cd "$locks" && sha256sum --check --quiet <<'HASHES'
88ef67635233bc7a1e1a115d52af74c034bea28840bcce6ac4db40f8a67b3ba3  light.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/light.txt"
