"""One request to a server, from its first attempt to its completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from studio.engine.api import Completion, EngineEvent, Finished, FinishReason, Request, Retried, TextPiece
from studio.engine.remote_address import Address
from studio.engine.remote_client import Timeouts, plain
from studio.engine.remote_errors import BrokenStream, Consequence, failure_of, given_up
from studio.engine.remote_identity import ServedModel
from studio.engine.remote_parameters import request_body
from studio.engine.remote_reading import Reading
from studio.engine.remote_retry import ATTEMPTS, Backoff

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_TAIL_S = 5.0
"""How long the token counts may take after the end of the text."""

Put = Callable[[EngineEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, and how to wait. `sleep` and `draw` (of a number in [0, 1)) are replaced in tests."""

    timeouts: Timeouts
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    draw: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends requests to one model of one server."""

    client: AsyncOpenAI
    address: Address
    key: str
    served: ServedModel
    patience: Patience

    async def complete(self, index: int, request: Request, put: Put) -> None:
        """Put the events of one request, up to its end. Raises ModelError when the server fails it for good."""
        for attempt in range(1, ATTEMPTS + 1):
            reading = Reading(request)
            began = time.monotonic()
            try:
                await self._attempt(index, request, reading, put)
            except Exception as error:
                failure = failure_of(error, self.address, self.key)
            else:
                await put(Finished(index, reading.completion(time.monotonic() - began)))
                return
            if failure.consequence is Consequence.REFUSE:
                await put(Finished(index, _refused(reading, failure.cause, time.monotonic() - began)))
                return
            if failure.consequence is Consequence.FAIL or attempt == ATTEMPTS:
                raise given_up(failure, self.address, attempt)
            await put(Retried(index, attempt + 1, failure.cause))
            await self.patience.sleep(self.patience.backoff.wait(attempt, failure.wait, self.patience.draw()))

    async def _attempt(self, index: int, request: Request, reading: Reading, put: Put) -> None:
        """Read one answer into `reading`. Raises the client's errors, BrokenStream, and ValueError for a stream that cannot be read."""
        body = request_body(request, self.served.identity.name, self.served.kind)
        stream: Any = await self.client.completions.create(**body)
        async with stream:
            chunks = aiter(stream)
            limit = self.patience.timeouts.first
            while not reading.stopped:
                try:
                    async with asyncio.timeout(_TAIL_S if reading.ended else limit):
                        chunk = await anext(chunks)
                except Exception as error:
                    if reading.ended:
                        return  # The text is whole; only the token counts are missing.
                    if isinstance(error, StopAsyncIteration):
                        raise BrokenStream("the stream ended before the completion did") from error
                    if isinstance(error, TimeoutError):
                        raise BrokenStream(f"no text for {limit:g} s") from error
                    raise
                if piece := reading.take(plain(chunk)):
                    await put(TextPiece(index, piece))
                limit = self.patience.timeouts.between


def _refused(reading: Reading, cause: str, seconds: float) -> Completion:
    """A prompt too long for the context; where text had come, the context is full after it."""
    if not reading.text:
        return Completion("", FinishReason.REFUSED, 0, 0, seconds=seconds, detail=cause)
    return replace(reading.completion(seconds), finish_reason=FinishReason.LENGTH, detail=cause)
