"""Work of which only the latest counts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from textual.css.query import NoMatches
from textual.dom import DOMNode

from studio.tui.leaving import leaving


def start_latest(owner: DOMNode, group: str, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
    """Start `work` in place of what `owner` started before in the same group, which is cancelled.

    A function and not its coroutine is handed on: one that is cancelled before it began would be a coroutine nobody awaited.
    """

    async def begun() -> None:
        try:
            await work(*arguments)
        except NoMatches:
            # The answer came while its owner was being removed, which takes the parts first and ends the work afterwards.
            if not leaving(owner):
                raise

    to_begin: Any = begun
    owner.run_worker(to_begin, group=group, exclusive=True)
