"""Runs one wave of jobs by continuous batching: every step, each sequence that decodes adds its token, and prompts fill the rest.

From the inside out: how a token is drawn or a choice made, a request while it runs, the wave.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.engine.api import CancelToken, Completion, EngineEvent, Finished, FinishReason, Request, SamplingParams, TextPiece
from studio.engine.llama.context import LlamaContext, State
from studio.engine.llama.prefixes import Tokens, place_prefixes
from studio.engine.llama.scheduler import Job, Slots, Wave, measured_rows, share_rows
from studio.engine.llama.surprisal import Surprisals, surprisal
from studio.engine.llama.vocab import Vocabulary
from studio.engine.thoughts import WrittenText
from studio.errors import ModelError


def likeliest(logits: Sequence[float]) -> tuple[int, float]:
    """Return the place of the greatest logit, the first of equal ones, and the softmax probability of place 0 among all of `logits`."""
    greatest = max(logits)
    weights = [math.exp(logit - greatest) for logit in logits]
    return list(logits).index(greatest), weights[0] / sum(weights)


class Greedy:
    """Draws the tokens of one completion at temperature 0; penalties count every token it drew. `never` are tokens it must not draw."""

    def __init__(self, params: SamplingParams, never: Sequence[int] = ()) -> None:
        self._repeat = np.float32(params.repeat_penalty)
        self._frequency = np.float32(params.frequency_penalty)
        self._presence = np.float32(params.presence_penalty)
        self._penalises = params.repeat_penalty != 1 or params.frequency_penalty != 0 or params.presence_penalty != 0
        self._never = np.array(never, dtype=np.int64)
        self._places: dict[int, int] = {}
        most = max(params.max_tokens + params.thinking_tokens, 1)
        self._tokens = np.zeros(most, dtype=np.int64)
        self._counts = np.zeros(most, dtype=np.float32)

    def draw(self, logits: NDArray[np.float32]) -> int:
        """Return the most likely token after the penalties, of equal ones the lowest. Overwrites `logits`, one for each token."""
        logits[self._never] = -np.inf
        if self._places:
            self._penalise(logits)
        token = int(logits.argmax())
        if self._penalises:
            place = self._places.setdefault(token, len(self._places))
            self._tokens[place] = token
            self._counts[place] += 1
        return token

    def _penalise(self, logits: NDArray[np.float32]) -> None:
        drawn = self._tokens[: len(self._places)]
        values = logits[drawn]
        values = np.where(values <= 0, values * self._repeat, values / self._repeat)
        logits[drawn] = values - (self._counts[: len(drawn)] * self._frequency + self._presence)


class Sampler:
    """Draws the tokens of one completion.

    The order is grammar, penalties, temperature, top_k, top_p, min_p, draw: as in GPT-2's own code, vLLM and Transformers, temperature
    comes before the cuts. Penalties count every token of the completion and none of the prompt. Temperature 0 takes the most likely token
    after the penalties. `close` frees the chain.
    """

    def __init__(self, context: LlamaContext, params: SamplingParams, seed: int, end: int = -1) -> None:
        """`end` is a token that ends the text beside the vocabulary's own. Raises ModelError when the grammar cannot be read."""
        import llama_cpp

        self._lib: Any = llama_cpp
        self._context = context
        self._chain: Any = None
        self._greedy: Greedy | None = None
        never = () if not params.ignore_eos else (*context.vocabulary.ending_tokens, *((end,) if end >= 0 else ()))
        if params.temperature <= 0 and not params.grammar:
            self._greedy = Greedy(params, never)
            return
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        try:
            self._fill(context.vocabulary, params, seed, never)
        except BaseException:
            self.close()
            raise

    def sample(self, row: int) -> int:
        """Return the token drawn from the logits of `row` of the last batch."""
        if self._greedy is not None:
            return self._greedy.draw(self._context.logits(row))
        return int(self._lib.llama_sampler_sample(self._chain, self._context.handle, row))

    def close(self) -> None:
        """Free the chain. Safe to call twice."""
        if self._chain is not None:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None

    def _fill(self, vocabulary: Vocabulary, params: SamplingParams, seed: int, never: Sequence[int]) -> None:
        lib = self._lib
        if never:
            biases = [lib.llama_logit_bias(token=token, bias=-math.inf) for token in never]
            self._add(lib.llama_sampler_init_logit_bias(vocabulary.size, len(biases), (lib.llama_logit_bias * len(biases))(*biases)))
        if params.grammar:
            grammar = lib.llama_sampler_init_grammar(vocabulary.handle, params.grammar.encode(), b"root")
            if not grammar:
                raise ModelError("the grammar cannot be read", "it must be GBNF with a rule named root")
            self._add(grammar)
        if params.repeat_penalty != 1 or params.frequency_penalty != 0 or params.presence_penalty != 0:
            window = max(params.max_tokens + params.thinking_tokens, 1)
            self._add(
                lib.llama_sampler_init_penalties(
                    vocabulary.size, window, params.repeat_penalty, params.frequency_penalty, params.presence_penalty
                )
            )
        if params.temperature <= 0:
            self._add(lib.llama_sampler_init_greedy())
            return
        if params.temperature != 1:
            self._add(lib.llama_sampler_init_temp(params.temperature))
        if params.top_k > 0:
            self._add(lib.llama_sampler_init_top_k(params.top_k))
        if params.top_p < 1:
            self._add(lib.llama_sampler_init_top_p(params.top_p, 1))
        if params.min_p > 0:
            self._add(lib.llama_sampler_init_min_p(params.min_p, 1))
        self._add(lib.llama_sampler_init_dist(seed & 0xFFFFFFFF))

    def _add(self, sampler: Any) -> None:
        self._lib.llama_sampler_chain_add(self._chain, sampler)


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
        self._sampler = None if job.choices or job.measured else Sampler(context, request.params, request.seed, job.end.token)
        stops = (*request.params.stop, *filter(None, [job.end.string]))
        self._written = WrittenText(replace(request.params, stop=stops), request.suffix, job.thoughts)
        self._tokens: list[int] = []
        self._text: list[str] = []
        self._surprisals = Surprisals()
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

    def draw(self) -> Iterator[EngineEvent]:
        """Draw a token from the logits of `row`, or choose or measure by them; yield what text is certain, and the end when it comes."""
        if self._sampler is None:
            yield from self._measure() if self.job.measured else self._choose()
            return
        # Drawing overwrites the logits.
        logits = self._context.logits(self.row).copy() if self._params.measure else None
        token = self._sampler.sample(self.row)
        self.row = -1
        ends = token == self.job.end.token or self._context.vocabulary.ends(token)
        piece = ""
        if not ends:
            self._tokens.append(token)
            letters = self._context.vocabulary.piece(token)
            piece = self._written.feed(letters)
            if self._written.thought:
                self._surprisals.pass_over(len(letters))
            elif logits is not None:
                self._surprisals.add(surprisal(logits, token), len(letters))
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
        place, probability = likeliest([float(self._context.logits(self.row)[token]) for token in self.job.choices])
        self.row = -1
        self._text.append(self._params.choices[place])
        if self._text[0]:
            yield TextPiece(self.job.index, self._text[0])
        yield self._end(FinishReason.STOP, probability=probability)

    def _measure(self) -> Iterator[EngineEvent]:
        rows, self.rows = self.rows, 0
        first = self.row - rows + 1
        token = self.position - rows + 1
        for offset in range(rows):
            self._surprisals.add(surprisal(self._context.logits(first + offset), self.job.tokens[token + offset]))
        self.row = -1
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
        self._slots = Slots(wave.jobs, parallel=context.parallel, cells=context.cells - sum(map(len, wave.prefixes)))
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

    def _evaluate(self) -> bool:
        """Evaluate the next batch; False when that was aborted."""
        decoding = [sequence for sequence in self._running if sequence.decodes]
        prompts = [sequence for sequence in self._running if not sequence.decodes]
        allowed = measured_rows([(each.prompt_left, each.logits_left) for each in prompts], self._context.outputs - len(decoding))
        shares = share_rows(len(decoding), allowed, self._context.rows)
        for sequence, share in [*((sequence, 1) for sequence in decoding), *zip(prompts, shares, strict=True)]:
            rows = sequence.next_rows(share)
            if not rows:
                continue
            sequence.rows = 1 if sequence.decodes else max(0, len(rows) - sequence.prompt_left + sequence.logits_left)
            last = self._context.add(rows, sequence.position, sequence.slot, logits=sequence.rows)
            sequence.position += len(rows)
            sequence.row = last if sequence.rows else -1
        return self._context.evaluate()

    def _draw(self) -> Iterator[EngineEvent]:
        for sequence in [sequence for sequence in self._running if sequence.row >= 0]:
            yield from sequence.draw()
            if sequence.finished:
                sequence.close()
                self._running.remove(sequence)
                self._context.forget(sequence.slot)
                self._slots.release(sequence.slot, sequence.job)
