"""Questions to a pool from a screen: asked on a thread and a connection of their own, given up when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from studio.pool.pool import Queries

T = TypeVar("T")


class PoolAccess:
    """One reading connection to the pool at `path`, opened with the first question; questions are answered one after another."""

    def __init__(self, path: Path, opened: Callable[[Path], Queries] = Queries.open) -> None:
        self.path = path
        self._opened = opened
        self._queries: Queries | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pool-reader")
        self._lock = threading.Lock()
        self._asked = 0
        self._answering = 0
        self._closed = False

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Return what `question` makes of the pool. Raises PoolError as reading does.

        When the waiting task is cancelled the question is dropped, or interrupted if it has begun; so is one asked after `close`, by a
        screen that is being removed.
        """
        if self._closed:
            raise asyncio.CancelledError
        self._asked += 1
        number = self._asked
        future = self._thread.submit(self._answer, question, number)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.cancel()
            self._interrupt(number)
            raise

    def close(self) -> None:
        """Give up what is being answered and close the connection. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._interrupt(self._answering)
            # On its own thread, so that nothing is taken away under a question.
            self._thread.submit(self._close)
            self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._queries is not None:
            self._queries.close()

    def _answer(self, question: Callable[[Queries], T], number: int) -> T:
        with self._lock:
            if self._queries is None:
                self._queries = self._opened(self.path)
            self._answering = number
        try:
            return question(self._queries)
        finally:
            with self._lock:
                self._answering = 0

    def _interrupt(self, number: int) -> None:
        # Under the lock the next question cannot begin, so only the one that is meant is interrupted.
        with self._lock:
            if self._queries is not None and number and self._answering == number:
                self._queries.interrupt()
