"""Runs one wave of jobs by continuous batching: every step, each sequence that decodes adds its token, and prompts fill the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from studio.engine.api import CancelToken, EngineEvent, Request
from studio.engine.llama_batch import BatchRows
from studio.engine.llama_context import LlamaContext
from studio.engine.llama_prefixes import Tokens, copy_prefix, place_prefixes
from studio.engine.llama_sequence import RunningSequence
from studio.engine.prefix_store import State
from studio.engine.scheduler import Job, Slots, Wave, share_rows


class WaveRun:
    """One wave in one context, whose prefixes have these `states`. The jobs at the indexes `uncached` had theirs evaluated for them."""

    def __init__(
        self,
        context: LlamaContext,
        batch: BatchRows,
        wave: Wave,
        requests: Sequence[Request],
        states: Mapping[Tokens, State],
        uncached: Collection[int],
    ) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._context = context
        self._batch = batch
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
                copy_prefix(self._context, self._wave.prefixes.index(job.prefix), slot)

    def _evaluate(self) -> bool:
        """Evaluate the next batch; False when that was aborted."""
        decoding = [sequence for sequence in self._running if sequence.decodes]
        prompts = [sequence for sequence in self._running if not sequence.decodes]
        shares = share_rows(len(decoding), [sequence.prompt_left for sequence in prompts], self._batch.capacity)
        for sequence, share in [*((sequence, 1) for sequence in decoding), *zip(prompts, shares, strict=True)]:
            rows = sequence.next_rows(share)
            if not rows:
                continue
            complete = sequence.decodes or len(rows) == sequence.prompt_left
            last = self._batch.add(rows, sequence.position, sequence.slot, wants_logits=complete)
            sequence.position += len(rows)
            sequence.row = last if complete else -1
        return self._batch.evaluate()

    def _draw(self) -> Iterator[EngineEvent]:
        for sequence in [sequence for sequence in self._running if sequence.row >= 0]:
            yield from sequence.draw()
            if sequence.finished:
                sequence.close()
                self._running.remove(sequence)
                self._lib.llama_memory_seq_rm(self._context.memory, sequence.slot, -1, -1)
                self._slots.release(sequence.slot, sequence.job)
