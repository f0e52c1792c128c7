"""Which kernel computes attention: one decoding step is profiled, outside every window.

`sdpa` picks one of several by shape, mask and type, and they differ in joules.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

# Steps that compiled code takes until it is compiled, and its graph recorded.
UNTIL_COMPILED = 3
# The operator that picks one is not the one that is picked.
PICKS = ("aten::scaled_dot_product_attention",)
ATTENTION = re.compile(r"scaled_dot_product|flash|fmha|sdpa|mha_|efficient_attention", re.IGNORECASE)
LONGEST_NAME = 90


class StepProfile:
    """Profiles the first decoding step after `skip` others. `names` is None until one was."""

    def __init__(self, *, skip: int, cuda: bool) -> None:
        self.names: tuple[str, ...] | None = None
        self._left = skip
        self._activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
        self._running: Any = None
        self._widths: list[int] = []

    def before_preparing(self) -> None:
        """A forward pass is over, and the next is about to be prepared; also after the last."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.stop()
        self.names = _attention_names(running.events())

    def before_forward(self, width: int) -> None:
        """A forward pass over so many positions comes next."""
        self._widths.append(width)
        if self.names is not None or not self._is_decoding():
            return
        self._left -= 1
        if self._left < 0:
            self._running = profile(activities=self._activities)
            self._running.start()

    def _is_decoding(self) -> bool:
        """One position; or one more than before, where there is no cache. A prefill in pieces does neither."""
        *before, width = self._widths
        return bool(before) and (width == 1 or width == before[-1] + 1)


def _attention_names(events: Any) -> tuple[str, ...]:
    """Operators of attention, then the device's kernels, each once, in the order they ran."""
    operators = [event.name for event in events if event.device_type == DeviceType.CPU]
    kernels = [event.name for event in events if event.device_type != DeviceType.CPU]
    found = [name for name in [*operators, *kernels] if ATTENTION.search(name) and name not in PICKS]
    return tuple(dict.fromkeys(name[:LONGEST_NAME] for name in found))


def has_cuda(model: torch.nn.Module) -> bool:
    """Whether a parameter lies on a device whose kernels can be traced."""
    return any(parameter.device.type == "cuda" for parameter in model.parameters())
