"""What is said to one model of one server: how it can be asked, what it does not take, and what becomes of each request."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from studio.engine.api import (
    Asking,
    Chat,
    Completion,
    EngineEvent,
    Finished,
    FinishReason,
    Noted,
    Request,
    Retried,
    SamplingParams,
    TextPiece,
)
from studio.engine.remote.client import Client
from studio.engine.remote.errors import (
    Answered,
    BrokenStream,
    Consequence,
    EndUnsaid,
    Failure,
    Patience,
    Waiting,
    given_up,
    not_asked_at_all,
    not_asked_so,
)
from studio.engine.remote.reading import PromptWatch, Reading
from studio.engine.remote.request import fields_refused, request_body, spent_on_thoughts, without
from studio.engine.remote.server import ServedModel, lacks_template

PROBES: Mapping[Asking, Request] = {
    "chat": Request("", "Say hello.", SamplingParams(max_tokens=1, stop=("\n\n",)), seed=1, chat=Chat()),
    "completion": Request("", "The first word of a sentence is", SamplingParams(max_tokens=1, stop=("\n",)), seed=1),
}
"""Ask for a token, to see whether the server answers at all when it is asked so, and which fields it takes."""
_PATHS: Mapping[Asking, str] = {"completion": "/completions", "chat": "/chat/completions"}

_NO_COUNTS = "the server tells no token counts: they stand as 0"
_NO_REASON = "the server does not say why a text ended: its ends are on record as `unknown` and count as whole texts"
_CUT = (
    "the server seems to cut prompts off: different ones count {count} tokens. Give it a larger context (Ollama: OLLAMA_CONTEXT_LENGTH, "
    "llama-server: -c, divided by -np)"
)
_UNSEEN = (
    "the model thinks unseen, and some answers had no tokens left for their text: ask for less thinking, for more tokens (max_tokens), or "
    "another model"
)

Put = Callable[[EngineEvent], Awaitable[None]]


@dataclass(slots=True)
class Endpoint:
    """One of the two ways of asking a server, and what it does not take or tell when it is asked so."""

    asking: Asking
    left_out: set[str] = field(default_factory=set)
    ends_unsaid: bool = False
    notes: dict[str, None] = field(default_factory=dict)
    used: bool = False
    """Whether it has been asked so for more than to see whether it answers."""


class Sender:
    """Sends requests to one model of one server, and remembers what the server does not take or tell. For one event loop.

    `asking` and `askings` are those of `EngineInfo`, and count once `probe` has found them; `thinks` tells that an answer had thoughts.
    """

    def __init__(self, client: Client, served: ServedModel, patience: Patience) -> None:
        self.client = client
        self.served = served
        self.asking: Asking = "completion"
        self.askings: tuple[Asking, ...] = ("completion",)
        self.thinks = False
        self._thinks_when: set[bool] = set()
        """With which values of `Chat.thinking` answers had thoughts."""
        self._patience = patience
        self._endpoints = {asking: Endpoint(asking) for asking in _PATHS}
        self._answered = 0
        self._prompts = PromptWatch()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of this server, in sentences; of a way in which it is not asked, nothing."""
        told = [each.notes for each in self._endpoints.values() if each.used or each.asking == self.asking]
        return tuple(dict.fromkeys(note for notes in told for note in notes))

    async def probe(self) -> None:
        """Ask for one token, in chat and with raw text, to find out how the server is to be asked.

        Chat is taken where it is answered, unless the server says that the model has no template for it. A server that is busy may answer
        later: what it may take then counts among `askings`. Raises ModelError when it will never complete.
        """
        failures = {asking: await self._first_failure(PROBES[asking]) for asking in PROBES}
        answering = [asking for asking, failure in failures.items() if failure is None]
        possible = [asking for asking, failure in failures.items() if failure is None or failure.consequence is not Consequence.FAIL]
        if not possible:
            faults = [failure for failure in failures.values() if failure is not None]
            telling = [each for each in faults if not each.missing]
            # One that lies in the request itself tells less than a wrong key or name.
            telling.sort(key=lambda failure: failure.own)
            raise given_up(telling[0] if telling else not_asked_at_all(faults), self.client.address)
        if len(answering) > 1 and await lacks_template(self.client, self.served):
            answering.remove("chat")
        self.asking = (answering or possible)[0]
        self.askings = (self.asking, *(asking for asking in possible if asking != self.asking))

    async def _first_failure(self, request: Request) -> Failure | None:
        """Send a small request and return why it is not answered, having waited a moment for a server that is busy; None if it is.

        Raises ModelError for a server that will not get better by itself.
        """
        waiting = Waiting(self._patience, total=self._patience.opening)
        while True:
            began = time.monotonic()
            try:
                await self._answer(0, request, Reading(request), _nobody)
            except Exception as error:
                failure = self.client.failure(error)
                if failure.stuck:
                    raise given_up(failure, self.client.address) from error
            else:
                return None
            if failure.consequence is Consequence.REFUSE:
                return None
            seconds = time.monotonic() - began
            wait = None
            if failure.consequence is Consequence.RETRY and max(seconds, failure.wait or 0.0) < self._patience.opening:
                wait = waiting.after(seconds, failure.wait)
            if wait is None:
                return failure
            await self._patience.sleep(wait)

    async def complete(self, index: int, request: Request, put: Put) -> None:
        """Put the events of one request, up to its end. Raises ModelError when the server fails it for good.

        A request that fails alone, while the server answers others, is refused alone.
        """
        endpoint = self._endpoints[asking_of(request)]
        await self._use(endpoint, put)
        waiting = Waiting(self._patience)
        answered_before, unsaid, attempt = self._answered, False, 1
        while True:
            roomy = self._with_room(request)
            reading = Reading(roomy, end_unsaid=unsaid or endpoint.ends_unsaid)
            began = time.monotonic()
            try:
                await self._answer(index, roomy, reading, put)
            except Exception as error:
                failure = self.client.failure(error)
                unsaid = unsaid or isinstance(error, EndUnsaid)
            else:
                self._answered += 1
                endpoint.ends_unsaid = endpoint.ends_unsaid or unsaid
                await put(Finished(index, reading.completion(time.monotonic() - began)))
                return
            seconds = time.monotonic() - began
            if failure.consequence is Consequence.REFUSE or (failure.own and self._answered):
                await put(Finished(index, _refused(reading, failure.cause, seconds)))
                return
            wait = None
            if failure.consequence is Consequence.RETRY:
                wait = waiting.after(seconds, failure.wait, torn=bool(reading.text), stuck=failure.stuck)
                if wait is None and self._answered > answered_before:
                    await put(Finished(index, _refused(reading, f"{failure.cause} (tried {attempt} times)", seconds)))
                    return
            if wait is None:
                other = next((each for each in self.askings if each != endpoint.asking), None)
                raise given_up(not_asked_so(failure, endpoint.asking, other), self.client.address, attempt)
            attempt += 1
            await put(Retried(index, attempt, failure.cause, wait))
            await self._patience.sleep(wait)

    async def _use(self, endpoint: Endpoint, put: Put) -> None:
        """Say what was found out about an endpoint before, once, where nobody expected it to be asked."""
        known = self.notes
        if not endpoint.used:
            endpoint.used = True
            for note in endpoint.notes:
                if note not in known:
                    await put(Noted(note))

    async def _answer(self, index: int, request: Request, reading: Reading, put: Put) -> None:
        """Read one answer into `reading`, without what the server names as fields that it does not take. Raises what `failure_of` reads."""
        endpoint = self._endpoints[asking_of(request)]
        refused: set[str] = set()
        # The server would look for stop strings in thoughts as well, which hold anything; here they are looked for in the answer alone.
        unsaid = {"stop"} if self.thinks and request.chat is not None else set()
        while True:
            body = request_body(request, self.served.identity.name, self.served.owner, endpoint.left_out | refused | unsaid)
            try:
                async with self.client.post(_PATHS[endpoint.asking], body) as values:
                    await self._read(index, reading, values, put)
                break
            except Answered as error:
                if spent_on_thoughts(error):
                    reading.spend()
                    break
                named = fields_refused(error, body)
                if not named:
                    raise
                refused |= named
        if refused:
            endpoint.left_out |= refused
            await self._note(endpoint, without(refused), put)
        if reading.thought:
            self.thinks = True
            self._thinks_when |= {request.chat.thinking} if request.chat is not None else set()
        for note in self._remarks(endpoint, request, reading):
            await self._note(endpoint, note, put)

    def _with_room(self, request: Request) -> Request:
        """The request with the tokens for thoughts among its `max_tokens`, where answers to such requests have had thoughts."""
        params, chat = request.params, request.chat
        if chat is None or chat.thinking not in self._thinks_when:
            return request
        return replace(request, params=replace(params, max_tokens=params.max_tokens + params.thinking_tokens))

    def _remarks(self, endpoint: Endpoint, request: Request, reading: Reading) -> list[str]:
        """What this answer shows that the user should know."""
        if reading.stopped:
            return []
        completion = reading.completion(0.0)
        notes = [_NO_REASON] if completion.finish_reason is FinishReason.UNKNOWN else []
        if not reading.counted and not reading.spent and "stream_options" not in endpoint.left_out:
            notes.append(_NO_COUNTS)
        if reading.spent and request.params.max_tokens > 1:
            notes.append(_UNSEEN)
        if self._prompts.is_cut(request, completion.prompt_tokens):
            self._prompts = PromptWatch()
            notes.append(_CUT.format(count=completion.prompt_tokens))
        return notes

    async def _read(self, index: int, reading: Reading, values: AsyncGenerator[Any, None], put: Put) -> None:
        limit = self._patience.first
        async with aclosing(values) as incoming:
            while not reading.stopped:
                try:
                    with anyio.fail_after(self._patience.tail if reading.ended else limit):
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

    async def _note(self, endpoint: Endpoint, text: str, put: Put) -> None:
        if text not in endpoint.notes:
            endpoint.notes[text] = None
            await put(Noted(text))


def asking_of(request: Request) -> Asking:
    return "completion" if request.chat is None else "chat"


async def _nobody(_event: EngineEvent) -> None:
    """Takes what nobody needs."""


def _refused(reading: Reading, cause: str, seconds: float) -> Completion:
    """A prompt that the server does not take; where text had come, the context is full after it."""
    if not reading.text:
        return Completion("", FinishReason.REFUSED, 0, 0, seconds=seconds, detail=cause)
    return replace(reading.completion(seconds), finish_reason=FinishReason.LENGTH, detail=cause)
