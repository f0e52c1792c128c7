"""Where the name of a point can stand without covering another point, interval or name."""

from __future__ import annotations

from dataclasses import dataclass

# Mean width of a letter of the figure's font, and the longest name, in letters.
LETTER = 6.7
LONGEST = 70


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def contains(self, other: Box) -> bool:
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


@dataclass(frozen=True)
class Name:
    """A text in the figure; empty where nothing can stand. anchor: SVG's `text-anchor`"""

    text: str
    x: float
    y: float
    anchor: str


def place_name(label: str, x: float, y: float, radius: float, plot: Box, taken: list[Box]) -> Name:
    """Right of the point, left, above or below, whichever is free; without text where none is (the number stays).

    taken: what is in the way; the name's own box is added to it
    """
    text = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
    width, gap = len(text) * LETTER, radius + 6
    for text_x, text_y, anchor in (
        (x + gap, y + 4, "start"),
        (x - gap, y + 4, "end"),
        (x, y - gap, "middle"),
        (x, y + gap + 9, "middle"),
    ):
        left = text_x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = Box(left, text_y - 11, left + width, text_y + 3)
        if plot.contains(box) and not any(box.overlaps(other) for other in taken):
            taken.append(box)
            return Name(text, round(text_x, 1), round(text_y, 1), anchor)
    return Name("", x, y, "middle")
