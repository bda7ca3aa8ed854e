"""The engine on the other side of the network: any server that speaks OpenAI's protocol, of completions or of chat.

An event loop in a thread of its own talks to the server; the thread that asks takes the events from it.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future

import anyio
from anyio.from_thread import start_blocking_portal

from studio.engine.api import SERVER, CancelToken, EngineEvent, EngineInfo, Finished, OpenRequests, Request
from studio.engine.options import EngineOptions
from studio.engine.remote.address import Address, api_key
from studio.engine.remote.client import Client
from studio.engine.remote.errors import Patience
from studio.engine.remote.sender import Sender
from studio.engine.remote.server import Moved, find_server, served_model
from studio.errors import ModelError

PARALLEL = 16
"""Requests in flight unless the user says otherwise; a server that batches gains from more, one with fewer slots lets them queue."""
_POLL_S = 0.05
_JOIN_S = 5.0
"""How long to wait for the loop's end: a name that is being looked up cannot be given up."""
_EVENTS_HELD = 64


Item = EngineEvent | Exception | None
"""What the coroutines hand over: an event, or, as the last of a batch, what ended it; None where it came to its end."""


class RemoteEngine:
    """Sends requests to a server, up to `parallel` at a time, and streams what it writes. See `Engine` for the protocol.

    A request that fails for a passing reason is sent again, announced by `Retried`. What a completion is depends on the server: the seed
    is sent with each request, but few servers promise the same text for it whatever else they compute at the time.
    """

    def __init__(self, address: Address, options: EngineOptions, patience: Patience | None = None) -> None:
        """Find the server and its model, and how it is asked, which takes a token each way. The key is that of the environment.

        Raises ModelError when the server cannot be reached, does not have the model that is meant, or will not complete.
        """
        self._parallel = options.parallel or PARALLEL
        self._closed = False
        self._patience = patience or Patience(anyio.sleep, random.random)
        self._running: Future[None] | None = None
        self._loop = contextlib.ExitStack()
        self._portal = self._loop.enter_context(start_blocking_portal(name="studio-server"))
        try:
            self._sender = self._portal.call(_open, address, self._parallel, self._patience)
        except BaseException:
            self._end_loop()
            raise

    @property
    def info(self) -> EngineInfo:
        sender = self._sender
        return EngineInfo(
            sender.served.identity,
            SERVER,
            context_tokens=sender.served.context_tokens,
            parallel=self._parallel,
            asking=sender.asking,
            askings=sender.askings,
            grammars=sender.served.owner == "llamacpp",
            thinks=sender.thinks,
            notices=sender.notes,
        )

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. Cancelling, or giving the iterator up, closes the connections, by which servers know to stop."""
        if self._closed:
            raise ModelError("the engine is closed")
        if any(request.opening or request.closing for request in requests):
            raise ModelError("a server cannot be asked within a chat template: it does not tell control words from text")
        if any(request.chat is not None and request.chat.writes_request for request in requests):
            raise ModelError("a server cannot be left to write the user's turn: it answers one that is whole")
        handover = Handover(_EVENTS_HELD)
        still_open = OpenRequests(len(requests))
        self._running = running = self._portal.start_task_soon(self._run, requests, handover)
        try:
            while not cancel.cancelled:
                for item in self._taken(handover, _POLL_S):
                    if item is None:
                        return
                    if isinstance(item, Exception):
                        raise item
                    yield still_open.note(item)
            running.cancel()
            while items := self._taken(handover, 0.0):
                yield from (still_open.note(item) for item in items if isinstance(item, EngineEvent))
            yield from still_open.cancelled()
        finally:
            running.cancel()

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        if not self._closed:
            self._closed = True
            # What still runs is ended before its connections are: the other way round it would be sent again.
            if self._running is not None:
                self._running.cancel()
            self._portal.call(self._sender.client.close)
            self._end_loop()

    def _end_loop(self) -> None:
        with contextlib.suppress(RuntimeError):  # It has ended already.
            self._portal.call(self._portal.stop, True)
        ending = threading.Thread(target=self._loop.close, name="studio-server-end", daemon=True)
        ending.start()
        ending.join(_JOIN_S)

    def _taken(self, handover: Handover, seconds: float) -> list[Item]:
        try:
            items = self._portal.call(handover.take, seconds)
            if not items and seconds and self._running is not None and self._running.done():
                self._running.result()  # Raises what ended it without a last word.
            return items
        except (CancelledError, RuntimeError) as error:
            if self._closed:
                raise ModelError("the engine was closed while it worked") from error
            raise

    async def _run(self, requests: Sequence[Request], handover: Handover) -> None:
        """Complete `requests`, started in their order; the last item handed over is that of its end.

        Once one has failed for good no other is started, but those in flight may end: they are paid for.
        """
        waiting = iter(enumerate(requests))
        failed: list[Exception] = []

        async def work() -> None:
            try:
                for index, request in waiting:
                    await self._sender.complete(index, request, handover.put)
                    if failed:
                        return
            except Exception as error:
                if not failed:
                    working.cancel_scope.deadline = anyio.current_time() + self._patience.grace
                failed.append(error)

        async with anyio.create_task_group() as working:
            for _ in range(min(self._parallel, len(requests))):
                working.start_soon(work)
        await handover.put(failed[0] if failed else None)


class Handover:
    """Events on their way from the coroutines to the thread that reads, at most `size`: who reads slowly slows the writers down.

    Who has put the end of a request goes on once the reader has come back for more: it has then dealt with that completion, which cost
    money, so that whenever the studio is killed no more completions are lost than are in flight.
    """

    def __init__(self, size: int) -> None:
        self._put, self._take = anyio.create_memory_object_stream[tuple[Item, anyio.Event | None]](size)
        self._size = size
        self._taken: list[anyio.Event] = []

    async def put(self, item: Item) -> None:
        """Add an item, once there is room."""
        dealt_with = anyio.Event() if isinstance(item, Finished) else None
        await self._put.send((item, dealt_with))
        if dealt_with is not None:
            await dealt_with.wait()

    async def take(self, seconds: float) -> list[Item]:
        """Return what is there, none if nothing came for `seconds`; what was taken before has been dealt with."""
        for dealt_with in self._taken:
            dealt_with.set()
        found = []
        with anyio.move_on_after(seconds), contextlib.suppress(anyio.WouldBlock):
            found.append(self._take.receive_nowait() if seconds <= 0 else await self._take.receive())
            while len(found) < self._size:
                found.append(self._take.receive_nowait())
        self._taken = [dealt_with for _, dealt_with in found if dealt_with is not None]
        return [item for item, _ in found]


async def _open(address: Address, parallel: int, patience: Patience) -> Sender:
    """Return a sender for the model that `address` means."""
    for _ in range(2):
        client = Client(address, api_key(address, os.environ), parallel, patience)
        try:
            found, cards = await find_server(client, patience)
            sender = Sender(client, served_model(found, cards), patience)
            await sender.probe()
            return sender
        except BaseException as error:
            await client.close()
            if not isinstance(error, Moved):
                raise
            address = error.address
    raise ModelError(f"{address.url}: it redirects again and again", "name the address that it redirects to")
