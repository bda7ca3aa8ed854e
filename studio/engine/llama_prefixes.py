"""Evaluates few-shot templates once and puts them into the context, always in the same way.

llama.cpp sums over the cells of the context in their order, so a completion's last bits depend on where its prefix lies and on the shape of
the batches it was evaluated in. To have a warm cache give exactly what a cold one gives, a prefix is always evaluated alone in an empty
context, its state is taken out, and every wave begins with an empty context into which the states are put back in the wave's order. A state
from the disk is the same bytes, so it gives the same completions.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any

from studio.engine.llama_batch import BatchRows
from studio.engine.llama_devices import build_words
from studio.engine.llama_model import LlamaModel
from studio.engine.prefix_cache import PrefixCache
from studio.engine.prefix_store import PrefixStore, State, state_key, worth_storing
from studio.errors import ModelError

_BUDGET_BYTES = 1 << 30

Tokens = tuple[int, ...]


def fingerprint(sha256: str, model: LlamaModel) -> str:
    """Return all that a prefix's state depends on beside its tokens: the model file, the library and its devices, the context's shape.

    The context's size is in it because some models choose their rotary embedding by it, the batch's because sums are taken over batches.
    Left out is what changes no bit of a state: the number of threads, and of sequences in the unified cache.
    """
    setup, shape = model.setup, model.shape
    context = f"context {shape.context} batch {setup.batch} {setup.ubatch} flash {setup.flash_attention} gpu {shape.layers_offloaded}"
    return f"{sha256}\n{context}\n{build_words()}"


class Prefixes:
    """The prefixes of one context. Prefix number `n` of a wave lives in sequence `shape.parallel + n`.

    With a `store`, states that took long to evaluate are kept there and taken from there; `key` is the context's fingerprint.
    """

    def __init__(self, model: LlamaModel, batch: BatchRows, store: PrefixStore | None = None, key: str = "") -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._model = model
        self._batch = batch
        self._store = store
        self._key = key
        self._cache: PrefixCache[State] = PrefixCache(_BUDGET_BYTES)

    def enter(self, prefixes: Sequence[Tokens]) -> set[Tokens] | None:
        """Empty the context and put `prefixes` into it; returns those that had to be evaluated anew, or None when that was aborted."""
        evaluated = set()
        states = []
        for prefix in prefixes:
            state = self._cache.get(prefix)
            if state is None:
                state = self._stored(prefix)
            if state is None:
                state = self._evaluate(prefix)
                evaluated.add(prefix)
            if state is None:
                return None
            self._cache.put(prefix, state)
            states.append(state)
        self._lib.llama_memory_clear(self._model.memory, False)
        for number, state in enumerate(states):
            if not self._put(state, self._model.shape.parallel + number):
                raise ModelError("llama.cpp cannot put a prompt template back into its context", "give it more room with --context")
        return evaluated

    def copy(self, number: int, sequence: int) -> None:
        """Let `sequence` begin with prefix `number` of the wave; no data moves."""
        self._lib.llama_memory_seq_cp(self._model.memory, self._model.shape.parallel + number, sequence, -1, -1)

    def forget(self) -> None:
        """Drop all states kept in memory."""
        self._cache.clear()

    def _put(self, state: State, sequence: int) -> bool:
        return bool(self._lib.llama_state_seq_set_data(self._model.context, state, len(state), sequence))

    def _stored(self, prefix: Tokens) -> State | None:
        """Return the state from the disk, if there is one that llama.cpp takes; another is removed."""
        if self._store is None:
            return None
        key = state_key(self._key, prefix)
        state = self._store.load(key)
        if state is None:
            return None
        self._lib.llama_memory_clear(self._model.memory, False)
        if self._put(state, 0):
            return state
        self._store.remove(key)
        return None

    def _evaluate(self, prefix: Tokens) -> State | None:
        began = time.perf_counter()
        self._lib.llama_memory_clear(self._model.memory, False)
        for start in range(0, len(prefix), self._batch.capacity):
            self._batch.add(prefix[start : start + self._batch.capacity], start, 0, wants_logits=False)
            if not self._batch.evaluate():
                return None
        size = int(self._lib.llama_state_seq_get_size(self._model.context, 0))
        state = (ctypes.c_uint8 * size)()
        if self._lib.llama_state_seq_get_data(self._model.context, state, size, 0) != size:
            raise ModelError("llama.cpp cannot save the state of a prompt template")
        if self._store is not None and worth_storing(time.perf_counter() - began, size):
            self._store.save(state_key(self._key, prefix), state)
        return state
