"""An engine without a model: it writes plausible text from a fixed vocabulary, for tests, demos and trying the studio out."""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence

from studio.engine.api import CancelToken, Completion, EngineEvent, EngineInfo, Finished, FinishReason, Request, TextPiece
from studio.engine.scripted_writer import write
from studio.engine.text_stream import RepeatWatch, TextStream
from studio.records import ModelIdentity

SCRIPTED_MODEL = "scripted"
_VERSION = "studio scripted engine 1"
_TOKEN = re.compile(r"\s*\S+|\s+$")

Responder = Callable[[Request], Completion | str]


class ScriptedEngine:
    """Completes requests from their text and seed alone, with stop strings, `max_tokens` and `stop_on_repeat` honoured.

    Of `choices`, the one that the text begins with is taken, with a made-up probability; any of them where it begins with none.

    A token is a word with the white space before it. `responder` replaces the built-in writer: it may return raw text, which stop strings
    and the token limit then cut, or a whole `Completion`, which is passed on as it is. `delay_s` is waited after each round of pieces, so
    that a demo looks like a model at work. Requests run `parallel` at a time, in their order.
    """

    def __init__(self, responder: Responder | None = None, *, delay_s: float = 0.0, parallel: int = 5) -> None:
        self._responder = responder
        self._delay_s = delay_s
        self._parallel = max(1, parallel)

    @property
    def info(self) -> EngineInfo:
        """What is running: the model is named `scripted` and its hash is that of the writer's version."""
        identity = ModelIdentity(
            name=SCRIPTED_MODEL, sha256=hashlib.sha256(_VERSION.encode()).hexdigest(), licence="apache-2.0", architecture=SCRIPTED_MODEL
        )
        return EngineInfo(model=identity, backend=SCRIPTED_MODEL, context_tokens=1 << 20, threads=1, parallel=self._parallel)

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. Cancelling is seen between pieces."""
        seen: set[str] = set()
        waiting = list(enumerate(requests))[::-1]
        running: list[_Writing] = []
        while waiting or running:
            while waiting and len(running) < self._parallel:
                index, request = waiting.pop()
                running.append(_Writing(index, request, self._respond(request), cached=request.prefix in seen))
                seen.add(request.prefix)
            for writing in list(running):
                if cancel.cancelled:
                    break
                yield from writing.step()
                if writing.finished:
                    running.remove(writing)
            if cancel.cancelled:
                yield from (writing.cancelled() for writing in running)
                yield from (_Writing(index, request, "", cached=False).cancelled() for index, request in reversed(waiting))
                return
            if self._delay_s > 0:
                time.sleep(self._delay_s)

    def close(self) -> None:
        """Nothing to free."""

    def _respond(self, request: Request) -> Completion | str:
        if self._responder is not None:
            return self._responder(request)
        rng = random.Random(f"{_VERSION}/{request.seed}/{request.prefix}{request.suffix}")
        return write(request.prefix, request.suffix, rng, request.params.max_tokens)


def _chosen(request: Request, text: str) -> tuple[int, float]:
    """Return the place of the choice that `text` stands for, and the probability of the first one."""
    choices = request.params.choices
    rng = random.Random(f"{_VERSION}/choice/{request.seed}/{request.prefix}{request.suffix}")
    named = [place for place, choice in enumerate(choices) if choice.strip() and text.lstrip().startswith(choice.strip())]
    place = named[0] if named else rng.randrange(len(choices))
    share = rng.uniform(0.55, 1.0)
    return place, share if place == 0 else (1.0 - share) / (len(choices) - 1)


class _Writing:
    """One request being answered: hands out one token a step."""

    def __init__(self, index: int, request: Request, answer: Completion | str, *, cached: bool) -> None:
        self._index = index
        self._given = answer if isinstance(answer, Completion) else None
        text = answer if isinstance(answer, str) else answer.text
        self._probability: float | None = None
        obedient = self._given is None
        if obedient and request.params.choices:
            place, self._probability = _chosen(request, text)
            text, obedient = request.params.choices[place], False
        self._tokens = _TOKEN.findall(text)
        self._limit = min(len(self._tokens), request.params.max_tokens) if obedient else len(self._tokens)
        self._stream = TextStream(request.params.stop if obedient else ())
        self._watch = RepeatWatch(request.params.stop_on_repeat if obedient else "", request.suffix)
        self._text = ""
        self._written = 0
        prefix_tokens = len(_TOKEN.findall(request.prefix))
        self._prompt_tokens = prefix_tokens + len(_TOKEN.findall(request.suffix))
        self._cached_tokens = prefix_tokens if cached else 0
        self.finished = False

    def step(self) -> Iterator[EngineEvent]:
        """Write one token; yield its text, and the end when it comes."""
        piece = ""
        if self._written < self._limit:
            piece = self._stream.feed(self._tokens[self._written].encode("utf-8", "surrogatepass"))
            self._written += 1
        ended = self._stream.stopped is not None or self._written >= self._limit
        if ended:
            piece += self._stream.finish()
        piece = self._watch.feed(piece)
        self._text += piece
        if piece:
            yield TextPiece(self._index, piece)
        if ended or self._watch.fired:
            self.finished = True
            yield Finished(self._index, self._completion(self._reason()))

    def _reason(self) -> FinishReason:
        if self._watch.fired:
            return FinishReason.REPEAT
        cut = self._stream.stopped is None and self._written < len(self._tokens)
        return FinishReason.LENGTH if cut else FinishReason.STOP

    def cancelled(self) -> Finished:
        """End this request where it is."""
        return Finished(self._index, self._completion(FinishReason.CANCELLED))

    def _completion(self, reason: FinishReason) -> Completion:
        if self._given is not None and reason is not FinishReason.CANCELLED:
            return self._given
        return Completion(
            text=self._text,
            finish_reason=reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=0 if self._probability is not None else self._written,
            cached_tokens=self._cached_tokens,
            detail=(self._stream.stopped or "") if reason is FinishReason.STOP else "",
            probability=self._probability,
        )
