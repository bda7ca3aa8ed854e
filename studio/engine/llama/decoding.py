"""Runs one wave of jobs by continuous batching: every step, each sequence that decodes adds its token, and prompts fill the rest.

A request while it runs, and the wave. Tokens are drawn on several threads where that is worth it; what follows from them, events and freed
sequences, is done in the order of the sequences.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from studio.engine.api import CancelToken, Completion, EngineEvent, Finished, FinishReason, Request, TextPiece
from studio.engine.llama.context import LlamaContext, State
from studio.engine.llama.prefixes import Tokens, place_prefixes
from studio.engine.llama.sampling import Block, Candidates, Sampler, Surprisals, draw, draw_greedily, likeliest, rows_together, surprisals
from studio.engine.llama.scheduler import Job, Slots, Wave, measured_rows, share_rows
from studio.engine.thoughts import WrittenText

_GREEDY_LOGITS = 1 << 21
"""Work for one thread that finds the greatest of many rows, about 1 ms."""
_GREEDY = (True, False)
"""The manner of sequences whose next token is the likeliest and not measured."""
_GREEDY_WORK = 1 / 2
"""Its work on a row beside that of sampling from it, that it is a smaller one to hand over counted in."""


class RunningSequence:
    """The state of one job in sequence `slot` of the context. `close` frees its sampler."""

    def __init__(self, context: LlamaContext, job: Job, request: Request, slot: int, *, cached_tokens: int) -> None:
        self.job = job
        self.slot = slot
        self.position = len(job.prefix)
        """Tokens of this sequence that are in the context."""
        self.row = -1
        """The row of the current batch that holds its logits, the last of them, -1 for none."""
        self.rows = 0
        """How many rows of the current batch, `row` the last of them, hold its logits."""
        self._context = context
        self._cached_tokens = cached_tokens
        self._params = request.params
        self._sampler = None if job.choices or job.measured else Sampler(context.vocabulary, request.params, request.seed, job.end.token)
        stops = (*request.params.stop, *filter(None, [job.end.string]))
        self._written = WrittenText(replace(request.params, stop=stops), request.suffix, job.thoughts)
        self._tokens: list[int] = []
        self._text: list[str] = []
        self._surprisals = Surprisals()
        self.token = -1
        """The one that was drawn last."""
        self._choice = (0, 0.0)
        self._nats: list[float] = []
        self._began = time.perf_counter()
        self.finished = False

    @property
    def decodes(self) -> bool:
        """Whether its prompt is evaluated and it adds a token each step."""
        return bool(self._tokens)

    @property
    def prompt_left(self) -> int:
        """Tokens of the prompt still to be evaluated; the last one that is measured need not be."""
        return 0 if self.decodes else len(self.job.tokens) - (self.job.measured > 0) - self.position

    @property
    def logits_left(self) -> int:
        """How many of the rows still to be evaluated for the prompt want logits, the last ones."""
        return min(self.job.measured or 1, self.prompt_left)

    def next_rows(self, share: int) -> tuple[int, ...]:
        """Return the tokens it puts into the next batch: its last drawn one, or at most `share` of its prompt."""
        if self.decodes:
            return (self._tokens[-1],)
        return self.job.tokens[self.position : self.position + share]

    @property
    def work(self) -> float:
        """How many rows that are sampled or measured would be as much work as its rows are."""
        return self.rows * (_GREEDY_WORK if self.manner == _GREEDY else 1)

    @property
    def manner(self) -> tuple[bool, bool] | None:
        """Whether its next token is drawn greedily, and whether that is measured; None where none is drawn."""
        return None if self._sampler is None else (self._sampler.greedy is not None, self._params.measure)

    @property
    def sampler(self) -> Sampler:
        """What draws its tokens, where that is done."""
        assert self._sampler is not None
        return self._sampler

    def note(self, token: int, nats: Sequence[float]) -> None:
        """Keep the token that was drawn, and its surprisal where it was measured."""
        self.token = token
        self._nats = list(nats)

    def weigh(self, block: Block, candidates: Candidates) -> None:
        """Measure by the logits of its rows, or choose; safe beside other sequences."""
        if self.job.measured:
            first = self.position - self.rows + 1
            self._nats = surprisals(block, self.job.tokens[first : first + self.rows], candidates.weights)
        else:
            self._choice = likeliest([float(block[0, token]) for token in self.job.choices])

    def take(self) -> Iterator[EngineEvent]:
        """Go on by what was drawn, measured or is to be chosen; yield what text is certain, and the end when it comes."""
        self.row = -1
        if self._sampler is None:
            yield from self._measure() if self.job.measured else self._choose()
            return
        token = self.token
        ends = token == self.job.end.token or self._context.vocabulary.ends(token)
        piece = ""
        if not ends:
            self._tokens.append(token)
            letters = self._context.vocabulary.piece(token)
            piece = self._written.feed(letters)
            if self._written.thought:
                self._surprisals.pass_over(len(letters))
            else:
                for nats in self._nats:
                    self._surprisals.add(nats, len(letters))
        full = self._written.full or len(self._tokens) >= self.job.room
        if ends or full:
            piece += self._written.finish()
        if piece:
            self._text.append(piece)
            yield TextPiece(self.job.index, piece)
        if self._written.repeats:
            yield self._end(FinishReason.REPEAT)
        elif ends or self._written.stopped is not None:
            # The template's own end of a turn is the end of the text, not a stop string.
            stopped = self._written.stopped or ""
            yield self._end(FinishReason.STOP, stopped if stopped in self._params.stop else "")
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
        place, probability = self._choice
        self._text.append(self._params.choices[place])
        if self._text[0]:
            yield TextPiece(self.job.index, self._text[0])
        yield self._end(FinishReason.STOP, probability=probability)

    def _measure(self) -> Iterator[EngineEvent]:
        for nats in self._nats:
            self._surprisals.add(nats)
        if not self.prompt_left:
            yield self._end(FinishReason.LENGTH)

    def _end(self, reason: FinishReason, detail: str = "", probability: float | None = None) -> Finished:
        self.finished = True
        return Finished(self.job.index, self._completion(reason, detail, probability))

    def _completion(self, reason: FinishReason, detail: str = "", probability: float | None = None) -> Completion:
        text = "".join(self._text)
        cut = self._written.stopped is not None or self._written.repeats
        return Completion(
            text=text,
            finish_reason=reason,
            prompt_tokens=len(self.job.tokens),
            completion_tokens=len(self._tokens),
            cached_tokens=self._cached_tokens,
            seconds=time.perf_counter() - self._began,
            detail=detail,
            probability=probability,
            nats=self._surprisals.mean(len(text.removeprefix(self.job.thoughts).encode("utf-8", "surrogatepass")) if cut else None),
        )


class WaveRun:
    """One wave in one context, whose prefixes have these `states`. The jobs at the indexes `uncached` had theirs evaluated for them."""

    def __init__(
        self,
        context: LlamaContext,
        wave: Wave,
        requests: Sequence[Request],
        states: Mapping[Tokens, State],
        uncached: Collection[int],
    ) -> None:
        self._context = context
        self._wave = wave
        self._requests = requests
        self._states = [states[prefix] for prefix in wave.prefixes]
        self._uncached = uncached
        self._slots = Slots(wave.jobs, parallel=context.parallel, cells=context.shared_cells - sum(map(len, wave.prefixes)))
        self._running: list[RunningSequence] = []

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs that have not begun."""
        return self._slots.waiting

    def run(self, cancel: CancelToken) -> Iterator[EngineEvent]:
        """Yield the events of all jobs; after a cancellation, of those begun. Raises ModelError when llama.cpp fails."""
        try:
            place_prefixes(self._context, self._states)
            self._begin()
            while self._running and not cancel.cancelled:
                if not self._evaluate():
                    break
                yield from self._draw()
                self._begin()
            yield from [sequence.cancelled() for sequence in self._running]
        finally:
            for sequence in self._running:
                sequence.close()
            self._running.clear()

    def _begin(self) -> None:
        for slot, job in self._slots.admit():
            cached = 0 if job.index in self._uncached else len(job.prefix)
            self._running.append(RunningSequence(self._context, job, self._requests[job.index], slot, cached_tokens=cached))
            if job.prefix:
                self._context.copy(self._context.parallel + self._wave.prefixes.index(job.prefix), slot)
        if self._context.separate:
            self._close_ranks()

    def _close_ranks(self) -> None:
        """Move the last sequences to free places: of those with cells of their own llama.cpp computes at once only such as have no gap."""
        for sequence in sorted(self._running, key=lambda each: each.slot, reverse=True):
            place = self._slots.lower(sequence.slot)
            if place == sequence.slot:
                return
            self._context.copy(sequence.slot, place)
            self._context.forget(sequence.slot)
            sequence.slot = place

    def _evaluate(self) -> bool:
        """Evaluate the next batch; False when that was aborted."""
        decoding = [sequence for sequence in self._running if sequence.decodes]
        prompts = [sequence for sequence in self._running if not sequence.decodes]
        allowed = measured_rows([(each.prompt_left, each.logits_left) for each in prompts], self._context.outputs - len(decoding))
        shares = share_rows(len(decoding), allowed, self._context.rows)
        filling = [*((sequence, 1) for sequence in decoding), *zip(prompts, shares, strict=True)]
        if self._context.separate:
            filling.sort(key=lambda each: each[0].slot)
        for sequence, share in filling:
            rows = sequence.next_rows(share)
            if not rows:
                continue
            sequence.rows = 1 if sequence.decodes else max(0, len(rows) - sequence.prompt_left + sequence.logits_left)
            last = self._context.add(rows, sequence.position, sequence.slot, logits=sequence.rows)
            sequence.position += len(rows)
            sequence.row = last if sequence.rows else -1
        return self._context.evaluate()

    def _draw(self) -> Iterator[EngineEvent]:
        ready = [sequence for sequence in self._running if sequence.row >= 0]
        context = self._context
        groups = [
            (group, context.block(group[0].row - group[0].rows + 1, sum(each.rows for each in group))) for group in self._groups(ready)
        ]
        context.drawing.map(_weigh, groups, sum(each.work for each in ready), context.cores.share(context))
        for sequence in ready:
            yield from sequence.take()
            if sequence.finished:
                sequence.close()
                self._running.remove(sequence)
                self._context.forget(sequence.slot)
                self._slots.release(sequence.slot, sequence.job)

    def _groups(self, ready: Sequence[RunningSequence]) -> list[list[RunningSequence]]:
        """Divide sequences into such as are drawn for together: those of one manner whose rows follow each other; others are alone."""
        size = self._context.vocabulary.size
        groups: list[list[RunningSequence]] = []
        for sequence in sorted(ready, key=lambda each: each.row):
            last, manner = groups[-1] if groups else [], sequence.manner
            most = max(1, _GREEDY_LOGITS // size) if manner == _GREEDY else rows_together(size)
            if manner is not None and 0 < len(last) < most and last[-1].manner == manner and last[-1].row + 1 == sequence.row:
                last.append(sequence)
            else:
                groups.append([sequence])
        return groups


def _weigh(group: tuple[Sequence[RunningSequence], Block], candidates: Candidates) -> None:
    sequences, block = group
    if sequences[0].manner is None:
        sequences[0].weigh(block, candidates)
        return
    samplers = [each.sampler for each in sequences]
    greedies = [each.greedy for each in samplers if each.greedy is not None]
    tokens = draw_greedily(greedies, block) if greedies else draw(samplers, block, candidates)
    nats = surprisals(block, tokens, candidates.weights) if sequences[0].manner[1] else None
    for place, (sequence, token) in enumerate(zip(sequences, tokens, strict=True)):
        sequence.note(token, nats[place : place + 1] if nats is not None else ())
