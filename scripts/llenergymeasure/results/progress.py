"""One line a finished experiment, for the person who watches. Standard library only: the manager prints it."""

from __future__ import annotations


def progress_line(
    done: int,
    total: int,
    *,
    replicate: int,
    label: str,
    tokens_per_s: float | None,
    joules_per_token: float | None,
    source: str | None,
    left_s: float | None,
) -> str:
    """`[7/24] replicate 1 · batch_size=4 · 52.1 output tokens/s · 0.81 J/token (estimated) · about 3 min left`.

    tokens_per_s: output tokens per second, or None for an experiment without figures
    source: of the energy, `measured:…` or `estimated:…`; only which of the two it is goes into the line
    left_s: seconds of work left; None while nobody can say
    """
    parts = [f"[{done}/{total}] replicate {replicate}", one_line(label)]
    parts.append("no figures" if tokens_per_s is None else f"{tokens_per_s:.1f} output tokens/s")
    if joules_per_token is not None and source is not None:
        parts.append(f"{joules_per_token:.3g} J/token ({source.split(':', 1)[0]})")
    elif tokens_per_s is not None:
        parts.append("energy unknown")
    parts.append(time_left(left_s) if done < total else "all measured")
    return " · ".join(parts)


def time_left(left_s: float | None) -> str:
    """In the unit a person would use, rounded to what such a guess is worth."""
    if left_s is None:
        return "time left unknown"
    if left_s < 90:
        return f"about {max(left_s, 1):.0f} s left"
    if left_s < 90 * 60:
        return f"about {left_s / 60:.0f} min left"
    return f"about {left_s / 3600:.1f} h left"


def one_line(text: str) -> str:
    """Text from outside on one line, without the control characters that steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
