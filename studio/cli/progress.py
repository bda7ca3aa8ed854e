"""A progress bar on stderr for commands that work a while; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that takes what is being done, how many of how many are done.

    Another `what` gets another bar in the place of the last one; the bar is gone when the block ends. A total of 0 means that nobody knows.
    """
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        known: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in known:
                for earlier in known.values():
                    bars.update(earlier, visible=False)
                known[what] = bars.add_task(what, total=total or None)
            bars.update(known[what], completed=done)

        yield report
