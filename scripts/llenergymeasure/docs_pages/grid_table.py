"""config/settings/grid_intensity.csv: the countries of codecarbon's table of energy mixes.

python -m llenergymeasure.docs_pages.grid_table [file]     (with scripts/ on PYTHONPATH, where codecarbon is installed)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

from llenergymeasure.config.settings.grid_intensity import TABLE
from llenergymeasure.docs_pages.page_file import write_file

_MIX = "codecarbon/data/private_infra/global_energy_mix.json"


def grid_table() -> str:
    """CSV with a line that names the source. Countries without a figure are not in it."""
    package = distribution("codecarbon")
    mix = json.loads(Path(str(package.locate_file(_MIX))).read_text(encoding="utf-8"))
    lines = [f"# codecarbon {package.version}, global energy mix", "country,g_per_kwh,year"]
    for country, row in sorted(mix.items()):
        if row.get("carbon_intensity") is not None:
            lines.append(f"{country},{row['carbon_intensity']},{row.get('year', 'year unknown')}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    write_file(grid_table(), TABLE, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
