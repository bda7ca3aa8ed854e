"""The engine on the other side of the network: any server that speaks OpenAI's completions protocol."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import random
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from studio.engine.api import SERVER, CancelToken, Completion, EngineEvent, EngineInfo, Finished, FinishReason, Request, Retried, TextPiece
from studio.engine.options import EngineOptions
from studio.engine.remote.address import Address, api_key, parse_address
from studio.engine.remote.client import Client
from studio.engine.remote.errors import Patience
from studio.engine.remote.sender import Sender
from studio.engine.remote.server import Moved, find_server, served_model
from studio.errors import ModelError

PARALLEL = 16
"""Requests in flight unless the user says otherwise; a server that batches gains from more, one with fewer slots lets them queue."""
_POLL_S = 0.05
_JOIN_S = 5.0
_EVENTS_HELD = 1024

Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _End:
    """The batch is over; of `error`, if there was one."""

    error: Exception | None


def open_remote(model: str, options: EngineOptions) -> RemoteEngine:
    """Return an engine for the server at the address `model`, with the key from the environment.

    Raises UsageError for an address that cannot be used, ModelError when the server cannot be reached or does not have the model.
    """
    return RemoteEngine(parse_address(model), options)


class RemoteEngine:
    """Sends requests to a server, up to `parallel` at a time, and streams what it writes. See `Engine` for the protocol.

    A request that fails for a passing reason is sent again, announced by `Retried`. What a completion is depends on the server: the seed
    is sent with each request, but few servers promise the same text for it whatever else they compute at the time.
    """

    def __init__(self, address: Address, options: EngineOptions, patience: Patience | None = None) -> None:
        """Find the server and its model, and ask for one token.

        Raises ModelError when the server cannot be reached, does not have the model that is meant, or will not complete.
        """
        self._parallel = options.parallel or PARALLEL
        self._closed = False
        self._patience = patience or Patience(asyncio.sleep, random.random)
        self._thread = LoopThread("studio-server")
        try:
            self._sender = self._thread.call(_open(address, self._parallel, self._patience))
        except BaseException:
            self._thread.close()
            raise

    @property
    def info(self) -> EngineInfo:
        """What is running."""
        served = self._sender.served
        return EngineInfo(
            served.identity, SERVER, context_tokens=served.context_tokens, parallel=self._parallel, notices=self._sender.notes
        )

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. Cancelling, or giving the iterator up, closes the connections, by which servers know to stop."""
        if self._closed:
            raise ModelError("the engine is closed")
        if any(request.opening or request.closing for request in requests):
            raise ModelError("a server cannot be asked within a chat template: it does not tell control words from text")
        channel: Channel[EngineEvent | _End] = Channel(self._thread.loop, _EVENTS_HELD)
        texts = _OpenTexts(len(requests))
        running = self._thread.start(self._run(requests, channel))
        try:
            while not cancel.cancelled:
                item = channel.get(_POLL_S)
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                if item is not None:
                    yield texts.note(item)
                elif running.done():
                    raise ModelError("the engine was closed while it worked")
            running.cancel()
            while (item := channel.get(0)) is not None:
                if not isinstance(item, _End):
                    yield texts.note(item)
            yield from texts.cancelled()
        finally:
            running.cancel()

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._thread.call(_close(self._sender))
            self._thread.close()

    async def _run(self, requests: Sequence[Request], channel: Channel[EngineEvent | _End]) -> None:
        """Complete `requests`, started in their order; the last item of `channel` is `_End`.

        Once one has failed for good no other is started, but those in flight may end: they are paid for.
        """
        waiting = iter(enumerate(requests))
        failed: list[Exception] = []

        async def work() -> None:
            try:
                for index, request in waiting:
                    await self._sender.complete(index, request, channel.put)
                    if failed:
                        return
            except Exception as error:
                failed.append(error)

        working = {asyncio.create_task(work()) for _ in range(min(self._parallel, len(requests)))}
        try:
            while working and not failed:
                _, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            if working:
                await asyncio.wait(working, timeout=self._patience.grace)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        channel.put_last(_End(failed[0] if failed else None))


class _OpenTexts:
    """The texts of the requests that have not ended, as far as they have been told."""

    def __init__(self, count: int) -> None:
        self._texts = dict.fromkeys(range(count), "")

    def note(self, event: EngineEvent) -> EngineEvent:
        """Take note of an event and return it."""
        match event:
            case TextPiece(index, text):
                self._texts[index] += text
            case Retried(index):
                self._texts[index] = ""
            case Finished(index):
                del self._texts[index]
        return event

    def cancelled(self) -> Iterator[EngineEvent]:
        """End every request that has not ended, with the text that was told; its token counts are not known."""
        for index, text in self._texts.items():
            yield Finished(index, Completion(text, FinishReason.CANCELLED, 0, 0))


async def _open(address: Address, parallel: int, patience: Patience) -> Sender:
    """Return a sender for the model that `address` means."""
    for _ in range(2):
        client = Client(address, api_key(address, os.environ), parallel, patience)
        try:
            found, cards = await find_server(client, patience)
            sender = Sender(client, served_model(found, cards), patience)
            await sender.probe()
            return sender
        except Moved as moved:
            await client.close()
            address = moved.address
        except BaseException:
            await client.close()
            raise
    raise ModelError(f"{address.url}: it redirects again and again", "name the address that it redirects to")


async def _close(sender: Sender) -> None:
    """End what still runs, then close the connections: the other way round it would be sent again."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await sender.client.close()


class LoopThread:
    """An event loop in a thread of its own: runs coroutines for threads that have none."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end and return its result."""
        return self.start(work).result()

    def close(self) -> None:
        """Cancel what runs and end the thread. Safe to call twice."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            # The runner's close cancels all tasks, lets them end, and closes the loop.
            runner.get_loop().run_forever()


class Channel(Generic[Item]):
    """A bounded queue from the coroutines of `loop` to a thread that reads: whoever reads slowly slows the writers down."""

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
