"""Runs several streams of events on threads of their own and makes one stream of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def side_by_side(streams: Sequence[Iterator[T]], stop: Callable[[], None]) -> Iterator[T]:
    """Yield what the streams give, as it comes; a single one is run on the caller's own thread.

    When one raises, or the caller closes this generator, `stop` is called, which must bring the others to their end soon; what they give
    until then is dropped. Raises the first error.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    given: queue.SimpleQueue[_Item[T] | _End] = queue.SimpleQueue()
    threads = [threading.Thread(target=_drain, args=(stream, given), name="side-by-side", daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            item = given.get()
            if isinstance(item, _Item):
                yield item.value
                continue
            running -= 1
            if item.error is not None:
                raise item.error
    finally:
        if running:
            stop()
        for thread in threads:
            thread.join()


def _drain(stream: Iterator[T], given: queue.SimpleQueue[_Item[T] | _End]) -> None:
    error: BaseException | None = None
    try:
        for value in stream:
            given.put(_Item(value))
    except BaseException as raised:
        error = raised
    given.put(_End(error))
