"""Several results folders of one study: repeatability, reproducibility and a consensus value. Measures nothing."""

import sys

from llenergymeasure.pipeline.run.mistakes import mistakes_end_the_call
from llenergymeasure.pipeline.run.together_call import open_together

with mistakes_end_the_call():
    RUN = open_together(config)


localrules:
    all,
    together,


rule together:
    input:
        RUN.tables,
    output:
        table=str(RUN.layout.together),
        folders=str(RUN.layout.beside_together("folders.csv")),
        html=str(RUN.layout.beside_together("together.html")),
        text=str(RUN.layout.beside_together("together.txt")),
    log:
        str(RUN.layout.logs / "together.log"),
    conda:
        "../../envs/light.yaml"
    params:
        compared=[str(folder) for folder in RUN.folders],
    script:
        "../../scripts/together.py"


onsuccess:
    text = RUN.layout.beside_together("together.txt")
    if text.exists():
        print("", text.read_text(encoding="utf-8"), sep="\n", file=sys.stderr)
