"""Which files of a data set's repository a split has: as its README says, by their names, or in the hub's Parquet copy.

The rules are those of the library `datasets` (https://huggingface.co/docs/hub/datasets-data-files-configuration), for
the formats that are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.utils import glob_translate
from huggingface_hub import repocard
from yaml import YAMLError

from llenergymeasure.config.problems.text import first_few, first_line, nearest

FORMATS = (".jsonl", ".json", ".csv", ".parquet")
_WORDS = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing", "eval", "evaluation"},
}
_PARTIAL = "partial-"


class NoSplit(Exception):
    """The split was not found; one line without the data set's name."""


def own_files(files: Sequence[str], readme: Path | None, config: str | None, split: str) -> list[str]:
    """The repository's own files of a split, sorted. NoSplit where it has none that can be read."""
    described = _configs(readme)
    if described:
        chosen = described[_choose(list(described), config, _default(readme))]
        patterns = _patterns(chosen, split)
        matched = _matching(files, patterns)
        if not matched:
            raise NoSplit(f"its README describes files {first_few(patterns)} of split {split!r}, which are not there")
    elif config is not None:
        raise NoSplit(f"its README describes no configuration {config!r}")
    else:
        matched = _by_name(files, split)
    return _of_one_format(matched, split)


def converted_files(files: Iterable[str], config: str | None, split: str) -> list[str]:
    """The files of a split in the hub's Parquet copy, sorted. NoSplit where there are none."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in files:
        parts = PurePosixPath(path).parts
        if len(parts) == 3 and path.endswith(".parquet"):
            # The hub converts only the beginning of a large data set.
            found.setdefault(parts[0], {}).setdefault(parts[1].removeprefix(_PARTIAL), []).append(path)
    if not found:
        raise NoSplit("the hub's Parquet copy of it is empty")
    splits = found[_choose(list(found), config, None)]
    if split not in splits:
        raise NoSplit(_not_there("split", split, splits))
    return sorted(splits[split])


def is_partial(path: str) -> bool:
    """Whether a file of the Parquet copy is of a split of which the hub converted the beginning only."""
    return any(part.startswith(_PARTIAL) for part in PurePosixPath(path).parts[1:2])


def _configs(readme: Path | None) -> dict[str, Mapping[str, Any]]:
    """The configurations in a README's head, by name; empty where it describes none."""
    if readme is None:
        return {}
    try:
        head = repocard.metadata_load(readme) or {}
    except (ValueError, YAMLError) as error:
        raise NoSplit(f"the head of its README cannot be read as YAML ({first_line(error)})") from error
    listed = head.get("configs")
    return {
        str(item.get("config_name", "default")): item
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping) and ("data_files" in item or "data_dir" in item)
    }


def _default(readme: Path | None) -> str | None:
    return next((name for name, item in _configs(readme).items() if item.get("default") is True), None)


def _choose(names: Sequence[str], config: str | None, default: str | None) -> str:
    if config is not None:
        if config not in names:
            raise NoSplit(_not_there("configuration", config, names))
        return config
    if default is not None:
        return default
    if len(names) == 1:
        return names[0]
    if "default" in names:
        return "default"
    raise NoSplit(f"it has several configurations; set dataset.config to one of {first_few(sorted(names), 12)}")


def _patterns(config: Mapping[str, Any], split: str) -> list[str]:
    """The globs of a configuration's split."""
    folder = str(config.get("data_dir") or "").strip("/")
    data = config.get("data_files", "**")
    by_split: dict[str, Any] = {}
    if isinstance(data, Mapping):
        by_split = dict(data)
    elif isinstance(data, list) and all(isinstance(item, Mapping) for item in data):
        by_split = {str(item.get("split", "train")): item.get("path") for item in data}
    else:
        by_split = {"train": data}
    if split not in by_split:
        raise NoSplit(_not_there("split", split, by_split))
    given = by_split[split]
    patterns = [str(one) for one in (given if isinstance(given, list) else [given])]
    return [f"{folder}/{one}" if folder else one.removeprefix("./") for one in patterns]


def _matching(files: Iterable[str], patterns: Iterable[str]) -> list[str]:
    try:
        expressions = [re.compile(glob_translate(pattern)) for pattern in patterns]
    except (ValueError, re.error) as error:
        raise NoSplit(f"its README names files by a pattern that cannot be read ({first_line(error)})") from error
    return [path for path in files if any(expression.fullmatch(path) for expression in expressions)]


def _by_name(files: Iterable[str], split: str) -> list[str]:
    """Files with the split's name as a word of their path; where no file names a split, all of them are `train`."""
    readable = [path for path in files if path.endswith(FORMATS)]
    words = {path: {*re.split(r"[^A-Za-z0-9]+", path.lower())} for path in readable}
    named = [path for path in readable if words[path] & _WORDS.get(split, {split.lower()})]
    if named or not readable:
        return named
    every = set().union(*_WORDS.values())
    if split == "train" and not any(words[path] & every for path in readable):
        return readable
    splits = [name for name, names in _WORDS.items() if any(words[path] & names for path in readable)]
    raise NoSplit(_not_there("split", split, splits))


def _of_one_format(paths: Sequence[str], split: str) -> list[str]:
    kinds = sorted({PurePosixPath(path).suffix for path in paths})
    if not paths:
        raise NoSplit(f"it has no files of split {split!r} that can be read ({', '.join(FORMATS)})")
    if len(kinds) > 1:
        raise NoSplit(f"split {split!r} has files of several kinds ({', '.join(kinds)}); name them as dataset.path")
    if kinds[0] not in FORMATS:
        raise NoSplit(f"the files of split {split!r} end in {kinds[0]}, which is not read ({', '.join(FORMATS)})")
    return sorted(paths)


def _not_there(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = nearest(name, names)
    meant = f"; did you mean {near!r}?" if near else ""
    return f"it has no {what} {name!r}{meant} (there are: {first_few(names, 12) or 'none'})"
