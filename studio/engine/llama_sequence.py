"""One request while it runs: its prompt's progress, its sampler, its text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from studio.engine.api import Completion, EngineEvent, Finished, FinishReason, Request, TextPiece
from studio.engine.llama_model import LlamaModel
from studio.engine.llama_sampler import Sampler
from studio.engine.scheduler import Job
from studio.engine.text_stream import TextStream


class RunningSequence:
    """The state of one job in sequence `slot` of the context. `close` frees its sampler."""

    def __init__(self, model: LlamaModel, job: Job, request: Request, slot: int, *, cached_tokens: int) -> None:
        self.job = job
        self.slot = slot
        self.position = len(job.prefix)
        """Tokens of this sequence that are in the context."""
        self.row = -1
        """The row of the current batch that holds its logits, -1 for none."""
        self._model = model
        self._cached_tokens = cached_tokens
        self._sampler = Sampler(model, request.params, request.seed)
        self._stream = TextStream(request.params.stop)
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
        """Draw a token from the logits of `row`; yield the text it makes certain, and the end when it comes."""
        token = self._sampler.sample(self.row)
        self.row = -1
        if self._model.ends(token):
            yield from self._end(FinishReason.STOP, self._stream.finish())
            return
        self._tokens.append(token)
        piece = self._stream.feed(self._model.piece(token))
        if self._stream.stopped is not None:
            yield from self._end(FinishReason.STOP, piece)
        elif len(self._tokens) >= self.job.room:
            yield from self._end(FinishReason.LENGTH, piece + self._stream.finish())
        elif piece:
            self._text.append(piece)
            yield TextPiece(self.job.index, piece)

    def cancelled(self) -> Finished:
        """Return the end of a sequence that is not run any further."""
        return Finished(self.job.index, self._completion(FinishReason.CANCELLED))

    def close(self) -> None:
        """Free the sampler. Safe to call twice."""
        self._sampler.close()

    def _end(self, reason: FinishReason, piece: str) -> Iterator[EngineEvent]:
        self.finished = True
        if piece:
            self._text.append(piece)
            yield TextPiece(self.job.index, piece)
        yield Finished(self.job.index, self._completion(reason))

    def _completion(self, reason: FinishReason) -> Completion:
        return Completion(
            text="".join(self._text),
            finish_reason=reason,
            prompt_tokens=len(self.job.tokens),
            completion_tokens=len(self._tokens),
            cached_tokens=self._cached_tokens,
            seconds=time.perf_counter() - self._began,
            detail=self._stream.stopped or "",
        )
