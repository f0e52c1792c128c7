"""Copies of a function in which one piece of wiring is missing: a statement, an argument, an entry."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

KEPT = (ast.Return, ast.Raise, ast.Import, ast.ImportFrom, ast.With)


@dataclass(frozen=True)
class Mutant:
    """`removed` is what is missing, as source text; `code` the function's code without it."""

    function: Callable[..., Any]
    removed: str
    code: CodeType

    @property
    def name(self) -> str:
        return f"{self.function.__qualname__}: {self.removed}"

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The function everywhere without that piece: its code is exchanged, so whoever imported it has the mutant."""
        original = self.function.__code__
        self.function.__code__ = self.code
        try:
            yield
        finally:
            self.function.__code__ = original


def mutants(function: Callable[..., Any]) -> Iterator[Mutant]:
    """One for each statement (but returns and docstrings), keyword argument, and entry of a dictionary."""
    source = textwrap.dedent(inspect.getsource(function))
    for place in range(_pieces(ast.parse(source))):
        tree = ast.parse(source)
        removed = _remove(tree, place)
        module = compile(ast.fix_missing_locations(tree), inspect.getsourcefile(function) or "?", "exec")
        (code,) = [
            item for item in module.co_consts if isinstance(item, CodeType) and item.co_name == function.__name__
        ]
        if code.co_freevars == function.__code__.co_freevars:
            yield Mutant(function, removed, code)


def _removable(tree: ast.Module) -> Iterator[tuple[Any, str, int]]:
    """Every (node, field, place) that can be taken out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for place, keyword in enumerate(node.keywords):
                if keyword.arg is not None:
                    yield node, "keywords", place
        if isinstance(node, ast.Dict):
            for place in range(len(node.values)):
                yield node, "values", place
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(node, ast.Module) or not isinstance(block, list):
                continue
            for place, statement in enumerate(block):
                is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
                if not is_docstring and not isinstance(statement, KEPT):
                    yield node, name, place


def _pieces(tree: ast.Module) -> int:
    return sum(1 for _ in _removable(tree))


def _remove(tree: ast.Module, wanted: int) -> str:
    node, name, place = list(_removable(tree))[wanted]
    block = getattr(node, name)
    removed = ast.unparse(block[place])
    if name == "values":
        key = node.keys[place]
        removed = f"**{removed}" if key is None else f"{ast.unparse(key)}: {removed}"
        del node.keys[place]
    if name in ("keywords", "values"):
        del block[place]
    else:
        block[place] = ast.Pass()
    return removed.splitlines()[0]
