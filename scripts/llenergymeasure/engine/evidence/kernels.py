"""Which kernel computes attention: one decoding step is profiled, outside every window.

`sdpa` picks one of several by shape, mask and type, and they differ in joules. The operator names the choice, so the
profiler looks at the processor's side alone: one that traces CUDA leaves CUPTI attached to the process, and every later
window would run slower for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from torch.profiler import ProfilerActivity, profile

# The first step of compiled code compiles. The second still calls operators, also where it records a CUDA graph; later
# ones may replay that graph, and show none.
UNTIL_COMPILED = 1
NO_NAME_WHEN_COMPILED = "compiled code called no attention operator, and what its own kernels do has no name"
# This operator picks another one and does not compute attention itself.
PICKS = ("aten::scaled_dot_product_attention",)
ATTENTION = re.compile(r"scaled_dot_product|flash|fmha|sdpa|mha_|(efficient|flex)_attention", re.IGNORECASE)
# Inductor names a fused pointwise kernel or reduction after all operators around it, attention too; its attention is
# a template.
FUSED = re.compile(r"triton_(poi|red|per)_")
LONGEST_NAME = 90


class StepProfile:
    """Profiles one decoding step: the first, of compiled code the one after it.

    names: the operators of attention that the step called; None before that step, and where they cannot be known
    reason: why they cannot be known
    """

    def __init__(self, *, compiled: bool) -> None:
        self.names: tuple[str, ...] | None = None
        self.reason: str | None = None
        self._compiled = compiled
        self._done = False
        self._left = UNTIL_COMPILED if compiled else 0
        self._running: Any = None
        self._widths: list[int] = []

    def before_preparing(self) -> None:
        """A forward pass is over, and the next is about to be prepared; also after the last."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.stop()
        self._done = True
        self.names = _attention_names(event.name for event in running.events())
        if self._compiled and not self.names:
            self.names, self.reason = None, NO_NAME_WHEN_COMPILED

    def before_forward(self, width: int) -> None:
        """A forward pass over that many positions comes next."""
        self._widths.append(width)
        if self._done or not self._is_decoding():
            return
        self._left -= 1
        if self._left < 0:
            # Older torch warns unless `acc_events` asks for the events of several cycles; there is one cycle.
            self._running = profile(activities=[ProfilerActivity.CPU], acc_events=True)
            self._running.start()

    def _is_decoding(self) -> bool:
        """One position; or one more than before, where there is no cache. A prefill in pieces does neither."""
        *before, width = self._widths
        return bool(before) and (width == 1 or width == before[-1] + 1)


def _attention_names(called: Iterable[str]) -> tuple[str, ...]:
    """The attention operators among `called`, each once, in the order they ran."""
    names = [name for name in called if ATTENTION.search(name) and name not in PICKS and not FUSED.match(name)]
    return tuple(dict.fromkeys(name[:LONGEST_NAME] for name in names))
