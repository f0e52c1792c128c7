#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${LLENERGYMEASURE_ENVS:?is set by the Snakefile}/locks"
(cd "$locks" && sha256sum --check --quiet <<'HASHES'
a70da45df9ed7f945de557ff9d2ac5bf3623f04ff20a70aa04984483ccac97c9  light.txt
HASHES
)
python -m pip install --require-hashes -r "$locks/light.txt"
