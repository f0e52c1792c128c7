#!/usr/bin/env python3
"""`conda`, as far as Snakemake calls it, for machines that reach no conda channel.

It makes a virtual environment of the Python at hand, of the version that the file asks for up to the last digit, with
the pip that the file asks for; everything else of `--sdm conda` is Snakemake's own.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

PREFIX = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    match arguments:
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(PREFIX), "platform": "linux-64"}))
        case ["--version"]:
            print("conda 26.1.0")
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *options]:
            create(Path(options[options.index("--file") + 1]), Path(options[options.index("--prefix") + 1]))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"conda {' '.join(arguments)}: not known here")


def create(file: Path, prefix: Path) -> None:
    wanted = dict(item.split("=") for item in yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"])
    minor = re.match(r"\d+\.\d+", wanted.pop("python"))[0]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if minor != here:
        sys.exit(f"python {minor} is wanted and this is {here}")
    subprocess.run([sys.executable, "-m", "venv", str(prefix)], check=True)
    packages = [f"{name}=={version}" for name, version in wanted.items()]
    subprocess.run([str(prefix / "bin/python"), "-m", "pip", "install", "--quiet", *packages], check=True)


main(sys.argv[1:])
