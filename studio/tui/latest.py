"""Work of which only the latest counts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from textual.dom import DOMNode


def start_latest(owner: DOMNode, group: str, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
    """Start `work` in place of what `owner` started before in the same group, which is cancelled.

    A function and not its coroutine is handed on: one that is cancelled before it began would be a coroutine nobody awaited.
    """
    begun: Any = partial(work, *arguments)
    owner.run_worker(begun, group=group, exclusive=True)
