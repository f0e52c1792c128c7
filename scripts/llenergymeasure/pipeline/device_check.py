"""Check before anything runs whether this machine has the GPUs that a study's setups claim. One line per problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from llenergymeasure.energy.meters.nvml.boards import Boards

VISIBLE = "CUDA_VISIBLE_DEVICES"


def device_problems(
    boards: Boards | None, environment: Mapping[str, str], claims: Mapping[str, int | None]
) -> list[str]:
    """What keeps the setups from running here, in lines that say what to change. Empty where nothing does.

    boards: None where NVML does not work, so that nothing is known
    claims: name of a setup → GPUs that it claims; None for all that are visible, 0 where it is on the processor
    """
    wanting = {label: count for label, count in claims.items() if count != 0}
    if boards is None or not wanting or _hidden(environment):
        return []
    return [
        *_wrong_names(boards, environment),
        *(_nothing_left(boards) or _too_few(boards, environment, wanting) or _mixed(boards, wanting)),
    ][:1]


def notes(boards: Boards | None) -> list[str]:
    """One line per GPU that no setup gets, with the reason, and one where GPU numbers may be meant in another order."""
    if boards is None:
        return []
    lines = [f"{device} is not used: {_short(reason)}" for device, reason in _unusable(boards)]
    if boards.selection.order_uncertain:
        chosen = ", ".join(f"{board.index} is {board.name}" for board in boards.selection.boards)
        lines.append(f"{VISIBLE} is read in the order of the PCI bus, as nvidia-smi counts: {chosen}")
    return lines


def _unusable(boards: Boards) -> list[tuple[str, str]]:
    return [*boards.selection.refused, *boards.unreadable]


def _hidden(environment: Mapping[str, str]) -> bool:
    """Whether the user hides all GPUs, and so asks for the processor."""
    first = environment.get(VISIBLE, "0").split(",")[0].strip()
    return first in ("", "-1", "NoDevFiles")


def _wrong_names(boards: Boards, environment: Mapping[str, str]) -> Iterator[str]:
    """A number or UUID that is not a GPU here: CUDA would ignore it and everything after it."""
    visible = environment.get(VISIBLE)
    caveats = [message for code, message in boards.selection.caveats if code == "visible-devices"]
    for message in caveats:
        unreadable = dict(boards.unreadable)
        broken = [name for token in str(visible).split(",") if (name := f"GPU {token.strip()}") in unreadable]
        if broken:
            yield f"{VISIBLE}={visible}: {broken[0]} cannot be read: {unreadable[broken[0]]}; remove it from the list"
        else:
            yield f"{message}. This machine has {_listed(boards)}"
    named = [device for device, _ in boards.selection.refused] if visible is not None else []
    if named:
        yield f"{VISIBLE}={visible}: {named[0]} cannot be measured: {_short(boards.selection.refused[0][1])}"


def _nothing_left(boards: Boards) -> list[str]:
    if boards.near or not _unusable(boards):
        return []
    reasons = "; ".join(f"{device}: {reason}" for device, reason in _unusable(boards))
    return [
        f"no GPU of this machine can be measured: {reasons}. To measure on the processor, set pytorch.device_map: cpu"
    ]


def _too_few(boards: Boards, environment: Mapping[str, str], wanting: Mapping[str, int | None]) -> list[str]:
    available = len(boards.near)
    limit = f" ({VISIBLE}={environment[VISIBLE]})" if VISIBLE in environment else ""
    return [
        f"{label} claims {count} GPUs and {available} can be used here{limit}; lower pytorch.devices, "
        f"pytorch.num_processes or pytorch.tp_size to {available} or less, or measure on a machine with more"
        for label, count in wanting.items()
        if count is not None and available and count > available
    ]


def _mixed(boards: Boards, wanting: Mapping[str, int | None]) -> list[str]:
    """GPUs of several models, so that each job might get another one."""
    chosen = boards.selection.boards
    names = Counter(board.name for board in chosen)
    if len(names) < 2 or all(count is None or count >= len(chosen) for count in wanting.values()):
        return []
    first = next(iter(names))
    uuids = ",".join(board.uuid for board in chosen if board.name == first)
    models = ", ".join(f"{count} × {name}" for name, count in names.items())
    return [
        f"the GPUs here are of different models ({models}), and each replicate may get another one: say which to "
        f"measure, such as {VISIBLE}={uuids} for {first}"
    ]


def _listed(boards: Boards) -> str:
    return ", ".join(f"{board.index}: {board.uuid} ({board.name})" for board in boards.listed) or "no GPU"


def _short(reason: str) -> str:
    return reason.partition("; use")[0]
