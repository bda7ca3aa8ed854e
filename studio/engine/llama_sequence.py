"""One request while it runs: its prompt's progress, its sampler, its text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from studio.engine.api import Completion, EngineEvent, Finished, FinishReason, Request, TextPiece
from studio.engine.choices import choose
from studio.engine.llama_context import LlamaContext
from studio.engine.llama_sampler import Sampler, logits_of
from studio.engine.repetition import RepeatWatch
from studio.engine.scheduler import Job
from studio.engine.text_stream import TextStream


class RunningSequence:
    """The state of one job in sequence `slot` of the context. `close` frees its sampler."""

    def __init__(self, context: LlamaContext, job: Job, request: Request, slot: int, *, cached_tokens: int) -> None:
        self.job = job
        self.slot = slot
        self.position = len(job.prefix)
        """Tokens of this sequence that are in the context."""
        self.row = -1
        """The row of the current batch that holds its logits, -1 for none."""
        self._context = context
        self._model = context.model
        self._cached_tokens = cached_tokens
        self._params = request.params
        self._sampler = None if job.choices else Sampler(context, request.params, request.seed)
        self._stream = TextStream(request.params.stop)
        self._watch = RepeatWatch(request.params.stop_on_repeat, request.suffix)
        self._tokens: list[int] = []
        self._text: list[str] = []
        self._began = time.perf_counter()
        self.finished = False

    @property
    def decodes(self) -> bool:
        """Whether its prompt is evaluated and it adds a token each step."""
        return bool(self._tokens)

    @property
    def prompt_left(self) -> int:
        """Tokens of the prompt still to be evaluated."""
        return 0 if self.decodes else len(self.job.tokens) - self.position

    def next_rows(self, share: int) -> tuple[int, ...]:
        """Return the tokens it puts into the next batch: its last drawn one, or at most `share` of its prompt."""
        if self.decodes:
            return (self._tokens[-1],)
        return self.job.tokens[self.position : self.position + share]

    def draw(self) -> Iterator[EngineEvent]:
        """Draw a token from the logits of `row`, or choose by them; yield the text it makes certain, and the end when it comes."""
        if self._sampler is None:
            yield from self._choose()
            return
        token = self._sampler.sample(self.row)
        self.row = -1
        ends = self._model.ends(token)
        piece = ""
        if not ends:
            self._tokens.append(token)
            piece = self._stream.feed(self._model.piece(token))
        full = len(self._tokens) >= self.job.room
        if ends or full:
            piece += self._stream.finish()
        piece = self._watch.feed(piece)
        if piece:
            self._text.append(piece)
            yield TextPiece(self.job.index, piece)
        if self._watch.fired:
            yield self._end(FinishReason.REPEAT)
        elif ends or self._stream.stopped is not None:
            yield self._end(FinishReason.STOP, self._stream.stopped or "")
        elif full:
            yield self._end(FinishReason.LENGTH)

    def cancelled(self) -> Finished:
        """Return the end of a sequence that is not run any further."""
        return Finished(self.job.index, self._completion(FinishReason.CANCELLED))

    def close(self) -> None:
        """Free the sampler. Safe to call twice."""
        if self._sampler is not None:
            self._sampler.close()

    def _choose(self) -> Iterator[EngineEvent]:
        place, probability = choose(logits_of(self._context, self.row, self.job.choices))
        self.row = -1
        self._text.append(self._params.choices[place])
        if self._text[0]:
            yield TextPiece(self.job.index, self._text[0])
        yield self._end(FinishReason.STOP, probability=probability)

    def _end(self, reason: FinishReason, detail: str = "", probability: float | None = None) -> Finished:
        self.finished = True
        return Finished(self.job.index, self._completion(reason, detail, probability))

    def _completion(self, reason: FinishReason, detail: str = "", probability: float | None = None) -> Completion:
        return Completion(
            text="".join(self._text),
            finish_reason=reason,
            prompt_tokens=len(self.job.tokens),
            completion_tokens=len(self._tokens),
            cached_tokens=self._cached_tokens,
            seconds=time.perf_counter() - self._began,
            detail=detail,
            probability=probability,
        )
