"""A bounded queue from an event loop's coroutines to a thread that reads: whoever reads slowly slows the writers down."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Channel(Generic[Item]):
    """Coroutines of `loop` put, one other thread gets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self._loop = loop
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(size)

    async def put(self, item: Item) -> None:
        """Add an item, once there is room."""
        await self._room.acquire()
        self._items.put(item)

    def put_last(self, item: Item) -> None:
        """Add an item, room or not: for the end of it all."""
        self._items.put(item)

    def get(self, timeout: float) -> Item | None:
        """Return the next item, or None when none came for `timeout` seconds."""
        try:
            item = self._items.get(timeout=timeout) if timeout > 0 else self._items.get_nowait()
        except queue.Empty:
            return None
        # Once the loop is closed there is nobody left to make room for.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.release)
        return item
