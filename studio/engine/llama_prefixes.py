"""Evaluates few-shot templates once and puts them into the context, always in the same way.

llama.cpp sums over the cells of the context in their order, so a completion's last bits depend on where its prefix lies and on the shape of
the batches it was evaluated in. To have a warm cache give exactly what a cold one gives, a prefix is always evaluated alone in an empty
context, its state is taken out, and every wave begins with an empty context into which the states are put back in the wave's order.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from studio.engine.llama_batch import BatchRows
from studio.engine.llama_model import LlamaModel
from studio.engine.prefix_cache import PrefixCache
from studio.errors import ModelError

_BUDGET_BYTES = 1 << 30


class Prefixes:
    """The prefixes of one context. Prefix number `n` of a wave lives in sequence `shape.parallel + n`."""

    def __init__(self, model: LlamaModel, batch: BatchRows) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._model = model
        self._batch = batch
        self._cache: PrefixCache[ctypes.Array[ctypes.c_uint8]] = PrefixCache(_BUDGET_BYTES)

    def enter(self, prefixes: Sequence[tuple[int, ...]]) -> set[tuple[int, ...]] | None:
        """Empty the context and put `prefixes` into it; returns those that had to be evaluated anew, or None when that was aborted."""
        evaluated = set()
        states = []
        for prefix in prefixes:
            state = self._cache.get(prefix)
            if state is None:
                state = self._evaluate(prefix)
                if state is None:
                    return None
                self._cache.put(prefix, state)
                evaluated.add(prefix)
            states.append(state)
        self._lib.llama_memory_clear(self._model.memory, False)
        for number, state in enumerate(states):
            sequence = self._model.shape.parallel + number
            if not self._lib.llama_state_seq_set_data(self._model.context, state, len(state), sequence):
                raise ModelError("llama.cpp cannot put a prompt template back into its context", "give it more room with --context")
        return evaluated

    def copy(self, number: int, sequence: int) -> None:
        """Let `sequence` begin with prefix `number` of the wave; no data moves."""
        self._lib.llama_memory_seq_cp(self._model.memory, self._model.shape.parallel + number, sequence, -1, -1)

    def forget(self) -> None:
        """Drop all kept states."""
        self._cache.clear()

    def _evaluate(self, prefix: tuple[int, ...]) -> ctypes.Array[ctypes.c_uint8] | None:
        self._lib.llama_memory_clear(self._model.memory, False)
        for start in range(0, len(prefix), self._batch.capacity):
            self._batch.add(prefix[start : start + self._batch.capacity], start, 0, wants_logits=False)
            if not self._batch.evaluate():
                return None
        size = int(self._lib.llama_state_seq_get_size(self._model.context, 0))
        state = (ctypes.c_uint8 * size)()
        if self._lib.llama_state_seq_get_data(self._model.context, state, size, 0) != size:
            raise ModelError("llama.cpp cannot save the state of a prompt template")
        return state
