"""The engine on the other side of the network: any server that speaks OpenAI's completions protocol."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio.engine.api import SERVER, CancelToken, Completion, EngineEvent, EngineInfo, Finished, FinishReason, Request, Retried, TextPiece
from studio.engine.options import EngineOptions
from studio.engine.remote_address import Address, api_key, parse_address
from studio.engine.remote_channel import Channel
from studio.engine.remote_client import Timeouts, model_cards, open_client
from studio.engine.remote_errors import Consequence, Failure, failure_of, given_up
from studio.engine.remote_identity import ServedModel, served_model
from studio.engine.remote_loop import LoopThread
from studio.engine.remote_request import Patience, Sender
from studio.engine.remote_retry import Backoff
from studio.errors import ModelError

PARALLEL = 16
"""Requests in flight unless the user says otherwise; a server that batches gains from more, one with fewer slots lets them queue."""
_POLL_S = 0.05
_EVENTS_HELD = 1024
PATIENCE = Patience(Timeouts(), Backoff(), asyncio.sleep, random.random)


@dataclass(frozen=True, slots=True)
class _End:
    """The batch is over; of `error`, if there was one."""

    error: Exception | None


def open_remote(model: str, options: EngineOptions) -> RemoteEngine:
    """Return an engine for the server at the address `model`, with the key from the environment.

    Raises UsageError for an address that cannot be used, ModelError when the server cannot be reached or does not have the model.
    """
    address = parse_address(model)
    return RemoteEngine(address, api_key(address, os.environ), options)


class RemoteEngine:
    """Sends requests to a server, up to `parallel` at a time, and streams what it writes. See `Engine` for the protocol.

    A request that fails for a passing reason is sent again, announced by `Retried`. What a completion is depends on the server: the seed
    is sent with each request, but few servers promise the same text for it whatever else they compute at the time.
    """

    def __init__(self, address: Address, key: str, options: EngineOptions, patience: Patience = PATIENCE) -> None:
        """Ask the server for its models. Raises ModelError when it cannot be reached or does not have the one that is meant."""
        self._parallel = options.parallel or PARALLEL
        self._closed = False
        self._thread = LoopThread("studio-server")
        try:
            self._sender = self._thread.call(_open(address, key, self._parallel, patience))
        except BaseException:
            self._thread.close()
            raise

    @property
    def info(self) -> EngineInfo:
        """What is running."""
        served = self._sender.served
        return EngineInfo(served.identity, SERVER, context_tokens=served.context_tokens, parallel=self._parallel)

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
        """Complete `requests`, started in their order; the last item of `channel` is `_End`."""
        waiting = iter(enumerate(requests))

        async def work() -> None:
            for index, request in waiting:
                await self._sender.complete(index, request, channel.put)

        error: Exception | None = None
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._parallel, len(requests))):
                    workers.create_task(work())
        except* Exception as failed:
            error = failed.exceptions[0]
        channel.put_last(_End(error))


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


async def _open(address: Address, key: str, parallel: int, patience: Patience) -> Sender:
    """Return a sender for the model that `address` means."""
    client = open_client(address, key, parallel, patience.timeouts)
    try:
        served: ServedModel = served_model(address, await model_cards(client))
    except Exception as error:
        await client.close()
        if isinstance(error, ModelError):
            raise
        raise _unreachable(failure_of(error, address, key), address) from error
    return Sender(client, address, key, served, patience)


async def _close(sender: Sender) -> None:
    """End what still runs, then close the connections: the other way round it would be sent again."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await sender.client.close()


def _unreachable(failure: Failure, address: Address) -> ModelError:
    if failure.consequence is Consequence.RETRY and not failure.cause.startswith("status "):
        hint = "start the server, or check the address; for a machine of your own it looks like http://127.0.0.1:8000/v1"
        return ModelError(f"cannot reach {address.url}: {failure.cause}", hint)
    if failure.consequence is Consequence.RETRY:
        return given_up(Failure(failure.consequence, failure.cause, "the server is not ready yet: try again in a moment"), address, 1)
    return given_up(failure, address, 1)
