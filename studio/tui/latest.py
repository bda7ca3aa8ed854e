"""Work beside the screen, of which only the latest counts. Whatever becomes of it, the screen lives on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode

from studio.tui.leaving import leaving
from studio.tui.telling import tell_fault


def start_latest(owner: DOMNode, group: str, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
    """Start `work` in place of what `owner` started before in the same group, which is cancelled.

    What it raises is told as a note and ends nothing. A function and not its coroutine is handed on: one that is cancelled before it
    began would be a coroutine nobody awaited.
    """

    async def begun() -> None:
        try:
            await work(*arguments)
        except Exception as error:
            # The answer may come while its owner is being removed, which takes the parts first and ends the work afterwards.
            if not leaving(owner):
                tell_fault(owner.app, error)

    to_begin: Any = begun
    owner.run_worker(to_begin, group=group, exclusive=True)
