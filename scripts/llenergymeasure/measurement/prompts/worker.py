"""Renders and encodes prompts in a process of its own, whose time and memory are bounded. No device is visible to it.

A chat template is a program out of a model's repository: one that loops or fills memory ends this process and no other.
Started by the manager as `python -m llenergymeasure.measurement.prompts.worker`; ends when the manager does.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llenergymeasure.config import DatasetConfig
from llenergymeasure.engine.generation.padding import padding_replaced
from llenergymeasure.measurement.prompts.prompts import PromptError, build_prompts
from llenergymeasure.measurement.worker.channel import WORKER_DESCRIPTOR, receive, send
from llenergymeasure.models.positions import positions
from llenergymeasure.models.tensors import stored_tensors
from llenergymeasure.processes.lifeline import end_with_parent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GIB = 2**30
# What prompts may take beside libraries and tokenizer. A thousand prompts of 128k tokens take a tenth of it.
MEMORY_BYTES = 2 * GIB


class Reader:
    """One tokenizer, and the sets of prompts that it reads one after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._rows: int | None = None
        self._place = "the prompts"

    def perform(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if message["do"] == "open":
            return self._open(message)
        try:
            return self._read(message["set"])
        except PromptError as error:
            return {"refused": str(error)}
        except MemoryError:
            return {
                "refused": f"{self._place}: rendering and encoding it takes more than {MEMORY_BYTES // GIB} GiB of "
                "memory"
            }

    def _open(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if not message["code"]:
            # Tokenizers need no torch, and without it the library is there in a second. A model's own code may need it.
            sys.modules["torch"] = None  # type: ignore[assignment]
        from transformers import AutoTokenizer

        self._rows = message["rows"]
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                Path(message["snapshot"]), trust_remote_code=message["code"], padding_side="left"
            )
        except Exception as error:  # noqa: BLE001 - whatever the library finds wrong with it
            traceback.print_exc()
            return {"unreadable": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
        limits = self._positions(Path(message["snapshot"]), code=message["code"])
        bound_memory(MEMORY_BYTES)
        return {"padding": padding_replaced(self._tokenizer, self._rows), "positions": limits}

    def _positions(self, snapshot: Path, *, code: bool) -> dict[str, Any] | None:
        """How long prompt and output can be; None where the library cannot read the model's configuration."""
        from transformers import AutoConfig

        assert self._tokenizer is not None, "it is opened first"
        try:
            config = AutoConfig.from_pretrained(snapshot, trust_remote_code=code)
            return asdict(positions(config, stored_tensors(snapshot), self._tokenizer.model_max_length))
        except Exception:  # noqa: BLE001 - loading the model says it better
            traceback.print_exc()
            return None

    def _read(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        assert self._tokenizer is not None, "it is opened first"
        prompts = build_prompts(
            DatasetConfig.model_validate(wanted["dataset"]),
            n=wanted["n_prompts"],
            max_input_tokens=wanted["max_input_tokens"],
            tokenizer=self._tokenizer,
            seed=wanted["random_seed"],
            embedding_rows=self._rows,
            fetch_dataset=self._fetch,
            watch=self._say,
        )
        planned, read = wanted["data_sha256"], prompts.description["file_sha256"]
        if planned is not None and read != planned:
            raise PromptError(f"{wanted['dataset']['path']} has changed since this call began; call again")
        longest = max(len(prompt.input_ids) for prompt in prompts.prompts)
        return {"digest": prompts.digest, "description": prompts.description, "longest": longest}

    def _fetch(self, name: str, commit: str, path: str) -> Path:
        """Have the manager get a file of a data set: this process stays offline."""
        send(self._connection, {"fetch": [name, commit, path]})
        reply = receive(self._connection)
        if "refused" in reply:
            raise PromptError(reply["refused"])
        return Path(reply["file"])

    def _say(self, place: str | None) -> None:
        """Tell which prompt comes next, and wait for leave: from here the manager's clock runs."""
        self._place = place or "the prompts"
        send(self._connection, {"at": place})
        receive(self._connection)


def bound_memory(more: int) -> None:
    """Let this process take no more than that many bytes beside what it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    descriptor = int(os.environ.pop(WORKER_DESCRIPTOR))
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    end_with_parent()
    reader = Reader(connection)
    try:
        while True:
            message = receive(connection)
            try:
                answer = reader.perform(message)
            except EOFError:
                raise
            except Exception:  # noqa: BLE001 - reported to the manager, which fails the job
                answer = {"bug": traceback.format_exc()}
            send(connection, answer)
    except (EOFError, ConnectionError):
        sys.exit(0)


if __name__ == "__main__":
    main()
