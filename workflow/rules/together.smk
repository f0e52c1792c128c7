"""Several results folders of one study: repeatability, reproducibility and a consensus value. Measures nothing."""

import sys

from llenergymeasure.pipeline.run.mistakes import mistakes_end_the_call
from llenergymeasure.pipeline.run.together_call import open_together

with mistakes_end_the_call():
    TOGETHER_CALL = open_together(config)


localrules:
    together,


rule together:
    input:
        TOGETHER_CALL.tables,
    output:
        table=str(TOGETHER_CALL.layout.together),
        folders=str(TOGETHER_CALL.layout.beside_together("folders.csv")),
        html=str(TOGETHER_CALL.layout.beside_together("together.html")),
        text=str(TOGETHER_CALL.layout.beside_together("together.txt")),
    log:
        str(TOGETHER_CALL.layout.logs / "together.log"),
    conda:
        "../../envs/light.yaml"
    params:
        compared=[str(folder) for folder in TOGETHER_CALL.folders],
    script:
        "../../scripts/together.py"


GOAL = [rules.together.output]


onsuccess:
    text = TOGETHER_CALL.layout.beside_together("together.txt")
    if text.exists():
        print("", text.read_text(encoding="utf-8"), sep="\n", file=sys.stderr)
