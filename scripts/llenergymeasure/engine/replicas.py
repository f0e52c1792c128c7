"""The processes that measure one experiment together: one alone, data-parallel copies, or parts of one model.

Every process runs the same commands in the same order. What they do side by side goes through `together`, so that an
experiment that fails in one of them fails in all, and none waits forever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch

from llenergymeasure.engine.failure import ExperimentFailure, library_call

T = TypeVar("T")
# The manager limits an experiment's time; a process that waits for its next command may wait for long.
PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Shard:
    """This process's prompts, `first` to `end` - 1 of the whole set."""

    first: int
    end: int


class Group(ABC):
    """All processes of an experiment, as seen from one of them."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """The first process holds the meters and talks to the manager."""
        return self.rank == 0

    @abstractmethod
    def share(self, message: Any) -> Any:
        """The first process's message, in every process."""

    @abstractmethod
    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank, in every process."""

    def gather_all(self, values: Sequence[T]) -> list[T]:
        """Every process's values, by rank, as one list."""
        return [value for of_one in self.gather(values) for value in of_one]

    @abstractmethod
    def barrier(self) -> None:
        """Wait until every process is here."""

    @abstractmethod
    def shard(self, prompts: int) -> Shard:
        """Which of `prompts` prompts this process generates for."""

    @abstractmethod
    def counted(self, values: Sequence[T]) -> list[T]:
        """The gathered values that belong to different prompts: all, or one where every process did the same work."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group; nothing can be shared afterwards."""

    def together(self, work: Callable[[], T]) -> T:
        """Do `work` in every process. ExperimentFailure in all of them when one failed."""
        failure: ExperimentFailure | None = None
        result: Any = None
        try:
            result = work()
        except ExperimentFailure as error:
            failure = error
        failures = [
            item for item in self.gather(None if failure is None else failure.constructor_args()) if item is not None
        ]
        if failure is not None:
            raise failure
        if failures:
            raise ExperimentFailure(*failures[0])
        done: T = result
        return done


class Alone(Group):
    """One process, as most experiments have it."""

    rank = 0
    size = 1

    def share(self, message: Any) -> Any:
        return message

    def gather(self, value: T) -> list[T]:
        return [value]

    def barrier(self) -> None:
        """Nobody to wait for."""

    def shard(self, prompts: int) -> Shard:
        return Shard(0, prompts)

    def counted(self, values: Sequence[T]) -> list[T]:
        return list(values)

    def close(self) -> None:
        """Nothing to leave."""


class _Accelerated(Group):
    """Processes joined by accelerate over torch.distributed: NCCL between CUDA devices, gloo between CPUs."""

    def __init__(self, rank: int, size: int, store: torch.distributed.Store) -> None:
        from accelerate import PartialState

        self.rank, self.size = rank, size
        with library_call("replicas"):
            self._state = PartialState(
                cpu=not torch.cuda.is_available(),
                store=store,
                rank=rank,
                world_size=size,
                timeout=PATIENCE,
            )
            # Waiting in NCCL keeps a device busy, and an idle baseline must be idle: processes wait on the host.
            self._control = torch.distributed.new_group(backend="gloo", timeout=PATIENCE)

    def share(self, message: Any) -> Any:
        shared = [message]
        with library_call("replicas"):
            torch.distributed.broadcast_object_list(shared, src=0, group=self._control)
        return shared[0]

    def gather(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        with library_call("replicas"):
            torch.distributed.all_gather_object(values, value, group=self._control)
        return values

    def barrier(self) -> None:
        with library_call("replicas"):
            torch.distributed.barrier(group=self._control)

    def close(self) -> None:
        self._state.destroy_process_group()


class Replicas(_Accelerated):
    """Data parallelism: every process has the whole model and its share of the prompts."""

    def shard(self, prompts: int) -> Shard:
        with self._state.split_between_processes(list(range(prompts))) as mine:
            return Shard(mine[0], mine[-1] + 1)

    def counted(self, values: Sequence[T]) -> list[T]:
        return list(values)


class TensorParallel(_Accelerated):
    """Tensor parallelism: every process has a part of each weight, and all generate every prompt together."""

    def shard(self, prompts: int) -> Shard:
        return Shard(0, prompts)

    def counted(self, values: Sequence[T]) -> list[T]:
        return list(values[:1])
