"""In which order the members of a block are measured: a drift must not line up with a setting."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from llenergymeasure.config.settings.protocol import Order

T = TypeVar("T", bound=str)


def block_order(members: Sequence[T], design: Order, replicate: int, seed: str) -> list[T]:
    """The members in the order of one replicate (1 is the first), the same on every machine.

    randomised: another permutation in each replicate
    sequential, interleaved: as they stand
    reverse: as they stand in odd replicates, backwards in even ones, so that a steady drift cancels in pairs
    williams: a row of a Williams square over the members, which are shuffled once
    """
    items = list(members)
    if design == "randomised":
        random.Random(f"{seed}/{replicate}").shuffle(items)
    elif design == "reverse" and replicate % 2 == 0:
        items.reverse()
    elif design == "williams" and items:
        random.Random(seed).shuffle(items)
        rows = williams_square(len(items))
        return [items[place] for place in rows[(replicate - 1) % len(rows)]]
    return items


def williams_square(count: int) -> list[list[int]]:
    """Rows in which each of `count` treatments (≥ 1) stands equally often in each place and after each other one.

    Williams (1949), Australian Journal of Scientific Research A 2: `count` rows where it is even; where it is odd no
    single square is balanced, so that there are 2·`count`: a square and its mirror image.
    """
    # 0, 1, n-1, 2, n-2, …: neighbours differ by 1, -2, 3, -4, …, each difference once where n is even.
    first = [0]
    for step in range(1, count):
        first.append((step + 1) // 2 if step % 2 else count - step // 2)
    rows = [[(place + shift) % count for place in first] for shift in range(count)]
    return rows if count % 2 == 0 or count == 1 else [*rows, *(row[::-1] for row in rows)]
