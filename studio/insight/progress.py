"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many of how many are done; may raise to give up. A total of 0: nobody knows."""

_EVERY = 256

Item = TypeVar("Item")


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


def told(items: Iterable[Item], progress: Progress, what: str, total: int, every: int = _EVERY) -> Iterator[Item]:
    """Yield `items`, and say so after each `every` of them and at the end."""
    done = 0
    progress(what, 0, total)
    for done, item in enumerate(items, 1):
        yield item
        if done % every == 0:
            progress(what, done, total)
    progress(what, done, total)
