"""One request to a server, from its first attempt to its completion; and a first small one, which shows what the server takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from studio.engine.api import Completion, EngineEvent, Finished, FinishReason, Noted, Request, Retried, SamplingParams, TextPiece
from studio.engine.remote.client import Client
from studio.engine.remote.errors import Answered, BrokenStream, Consequence, EndUnsaid, Failure, Patience, Waiting, failure_of, given_up
from studio.engine.remote.request import PromptWatch, Reading, fields_refused, request_body, without
from studio.engine.remote.server import ServedModel

PROBE = Request("", "The first word of a sentence is", SamplingParams(max_tokens=1, stop=("\n",)), seed=1)
"""Asks whether the server completes at all."""

_NO_COUNTS = "the server tells no token counts: they stand as 0"
_NO_REASON = "the server does not say why a text ended: its ends are on record as `unknown` and count as whole texts"
_CUT = (
    "the server seems to cut prompts off: different ones count {count} tokens. Give it a larger context (Ollama: OLLAMA_CONTEXT_LENGTH, "
    "llama-server: -c, divided by -np)"
)

Put = Callable[[EngineEvent], Awaitable[None]]


class Sender:
    """Sends requests to one model of one server, and remembers what the server does not take or tell. For one event loop."""

    def __init__(self, client: Client, served: ServedModel, patience: Patience) -> None:
        self.client = client
        self.served = served
        self._patience = patience
        self._left_out: set[str] = set()
        self._ends_unsaid = False
        self._answered = 0
        self._prompts = PromptWatch()
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of this server, in sentences."""
        return tuple(self._notes)

    async def probe(self) -> None:
        """Ask for one token. Raises ModelError when the server will never complete; one that is busy may be waited for later."""
        try:
            await self._answer(0, PROBE, Reading(PROBE), _nobody)
        except Exception as error:
            failure = self._failure(error)
            if failure.consequence is Consequence.FAIL:
                raise given_up(failure, self.client.address) from error

    async def complete(self, index: int, request: Request, put: Put) -> None:
        """Put the events of one request, up to its end. Raises ModelError when the server fails it for good.

        A request that fails alone, while the server answers others, is refused alone.
        """
        waiting = Waiting(self._patience)
        answered_before, unsaid, attempt = self._answered, False, 1
        while True:
            reading = Reading(request, end_unsaid=unsaid or self._ends_unsaid)
            began = time.monotonic()
            try:
                await self._answer(index, request, reading, put)
            except Exception as error:
                failure = self._failure(error)
                unsaid = unsaid or isinstance(error, EndUnsaid)
            else:
                self._answered += 1
                self._ends_unsaid = self._ends_unsaid or unsaid
                await put(Finished(index, reading.completion(time.monotonic() - began)))
                return
            seconds = time.monotonic() - began
            if failure.consequence is Consequence.REFUSE or (failure.own and self._answered):
                await put(Finished(index, _refused(reading, failure.cause, seconds)))
                return
            wait = None
            if failure.consequence is Consequence.RETRY:
                wait = waiting.after(seconds, failure.wait, torn=bool(reading.text))
                if wait is None and self._answered > answered_before:
                    await put(Finished(index, _refused(reading, f"{failure.cause} (tried {attempt} times)", seconds)))
                    return
            if wait is None:
                raise given_up(failure, self.client.address, attempt)
            attempt += 1
            await put(Retried(index, attempt, failure.cause, wait))
            await self._patience.sleep(wait)

    async def _answer(self, index: int, request: Request, reading: Reading, put: Put) -> None:
        """Read one answer into `reading`, without what the server names as fields that it does not take. Raises what `failure_of` reads."""
        refused: set[str] = set()
        while True:
            body = request_body(request, self.served.identity.name, self.served.kind, self._left_out | refused)
            try:
                async with self.client.post("/completions", body) as values:
                    await self._read(index, reading, values, put)
                break
            except Answered as error:
                named = fields_refused(error, body)
                if not named:
                    raise
                refused |= named
        if refused:
            self._left_out |= refused
            await self._note(without(refused), put)
        if not reading.stopped:
            completion = reading.completion(0.0)
            if completion.finish_reason is FinishReason.UNKNOWN:
                await self._note(_NO_REASON, put)
            if not reading.counted and "stream_options" not in self._left_out:
                await self._note(_NO_COUNTS, put)
            if self._prompts.is_cut(request, completion.prompt_tokens):
                self._prompts = PromptWatch()
                await self._note(_CUT.format(count=completion.prompt_tokens), put)

    async def _read(self, index: int, reading: Reading, values: AsyncGenerator[Any, None], put: Put) -> None:
        limit = self._patience.first
        async with aclosing(values) as incoming:
            while not reading.stopped:
                try:
                    async with asyncio.timeout(self._patience.tail if reading.ended else limit):
                        value = await anext(incoming)
                except Exception as error:
                    if reading.ended:
                        return  # The text is whole; only the token counts are missing.
                    if isinstance(error, StopAsyncIteration):
                        if piece := reading.close():
                            await put(TextPiece(index, piece))
                        return
                    if isinstance(error, TimeoutError):
                        raise BrokenStream(f"no text for {limit:g} s") from error
                    raise
                if piece := reading.take(value):
                    await put(TextPiece(index, piece))
                limit = self._patience.between

    def _failure(self, error: Exception) -> Failure:
        client = self.client
        return failure_of(error, client.address, client.key, client.proxy.variable if client.proxy else "")

    async def _note(self, text: str, put: Put) -> None:
        if text not in self._notes:
            self._notes[text] = None
            await put(Noted(text))


async def _nobody(_event: EngineEvent) -> None:
    """Takes what nobody needs."""


def _refused(reading: Reading, cause: str, seconds: float) -> Completion:
    """A prompt that the server does not take; where text had come, the context is full after it."""
    if not reading.text:
        return Completion("", FinishReason.REFUSED, 0, 0, seconds=seconds, detail=cause)
    return replace(reading.completion(seconds), finish_reason=FinishReason.LENGTH, detail=cause)
