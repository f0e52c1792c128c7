"""A key-value cache described without its tensors, which would count as the experiment's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CacheDescription:
    """A cache without its tensors.

    tokens: positions that hold keys and values; None where the cache cannot say
    length: positions that are allocated in the longest layer; None for a cache that grows
    sliding: whether every layer keeps a window only, so that `length` may be below that of the sequence
    """

    class_name: str
    tokens: int | None = None
    length: int | None = None
    sliding: bool = False
    offloading: bool = False

    def text(self) -> str:
        """For people: class, tokens of length."""
        held = "" if self.tokens is None else f" with {self.tokens} tokens"
        if held and self.length is not None:
            held += f" of {self.length}"
        return f"cache of class {self.class_name}{held}" + (", offloading" if self.offloading else "")


def describe_cache(cache: Any) -> CacheDescription | None:
    """The description of a cache that `generate` returned or a manager holds; None where there is none."""
    if cache is None:
        return None
    layers = list(getattr(cache, "layers", None) or ())
    allocated = [layer for layer in layers if isinstance(getattr(layer, "max_cache_len", None), int)]
    return CacheDescription(
        class_name=type(cache).__name__,
        tokens=_tokens(cache),
        length=max((layer.max_cache_len for layer in allocated), default=None),
        sliding=bool(layers) and all(bool(getattr(layer, "is_sliding", False)) for layer in layers),
        offloading=bool(getattr(cache, "offloading", False)),
    )


def _tokens(cache: Any) -> int | None:
    if not hasattr(cache, "get_seq_length"):
        return None
    try:
        return int(cache.get_seq_length())
    except (AttributeError, IndexError, NotImplementedError, TypeError, ValueError):
        return None
