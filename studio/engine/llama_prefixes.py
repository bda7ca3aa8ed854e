"""Evaluates few-shot templates once and puts them into the context, always in the same way.

llama.cpp sums over the cells of the context in their order, so a completion's last bits depend on where its prefix lies and on the shape of
the batches it was evaluated in. To have a warm cache give exactly what a cold one gives, a prefix is always evaluated alone in an empty
context, its state is taken out, and every wave begins with an empty context into which the states are put back in the wave's order. A state
from the disk, or from another context of the same size, is the same bytes, so it gives the same completions.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable, Sequence
from typing import Any

from studio.engine.llama_batch import BatchRows
from studio.engine.llama_context import LlamaContext
from studio.engine.llama_devices import build_words
from studio.engine.llama_model import LlamaModel
from studio.engine.prefix_cache import PrefixCache
from studio.engine.prefix_store import PrefixStore, State, state_key, worth_storing
from studio.errors import ModelError

_BUDGET_BYTES = 1 << 30

Tokens = tuple[int, ...]


def fingerprint(sha256: str, model: LlamaModel, adapter_sha256: str = "") -> str:
    """Return all that a prefix's state depends on beside its tokens: model file, adapter, library, devices, the context's shape.

    The context's size is in it because some models choose their rotary embedding by it, the batch's because sums are taken over batches.
    Left out is what changes no bit of a state: the number of threads, and of sequences in the unified cache.
    """
    setup, shape = model.setup, model.shape
    context = f"context {shape.context_each} batch {setup.batch} {setup.ubatch} flash {setup.flash_attention} gpu {shape.layers_offloaded}"
    adapter = f" adapter {adapter_sha256}" if adapter_sha256 else ""
    plain = " plain" if model.plain else ""
    return f"{sha256}{adapter}\n{context}{plain}\n{build_words()}"


class Prefixes:
    """Evaluates the prefixes of a model, in one of its contexts, and keeps their states for all of them.

    With a `store`, states that took long to evaluate are kept there and taken from there; `key` is the contexts' fingerprint.
    """

    def __init__(self, context: LlamaContext, batch: BatchRows, store: PrefixStore | None = None, key: str = "") -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._context = context
        self._batch = batch
        self._store = store
        self._key = key
        self._cache: PrefixCache[State] = PrefixCache(_BUDGET_BYTES)
        self.evaluated: set[Tokens] = set()
        """Those that the last call of `states` had to evaluate."""

    def states(self, prefixes: Iterable[Tokens]) -> dict[Tokens, State] | None:
        """Return the states of `prefixes`, None when evaluating one was aborted. What the context held is lost."""
        self.evaluated.clear()
        states: dict[Tokens, State] = {}
        for prefix in prefixes:
            state = self._cache.get(prefix)
            if state is None:
                state = self._stored(prefix)
            if state is None:
                state = self._evaluate(prefix)
                self.evaluated.add(prefix)
            if state is None:
                return None
            self._cache.put(prefix, state)
            states[prefix] = state
        return states

    def forget(self) -> None:
        """Drop all states kept in memory."""
        self._cache.clear()

    def _stored(self, prefix: Tokens) -> State | None:
        """Return the state from the disk, if there is one that llama.cpp takes; another is removed."""
        if self._store is None:
            return None
        key = state_key(self._key, prefix)
        state = self._store.load(key)
        if state is None:
            return None
        self._lib.llama_memory_clear(self._context.memory, False)
        if put_state(self._context, state, 0):
            return state
        self._store.remove(key)
        return None

    def _evaluate(self, prefix: Tokens) -> State | None:
        began = time.perf_counter()
        self._lib.llama_memory_clear(self._context.memory, False)
        for start in range(0, len(prefix), self._batch.capacity):
            self._batch.add(prefix[start : start + self._batch.capacity], start, 0, wants_logits=False)
            if not self._batch.evaluate():
                return None
        size = int(self._lib.llama_state_seq_get_size(self._context.handle, 0))
        state = (ctypes.c_uint8 * size)()
        if self._lib.llama_state_seq_get_data(self._context.handle, state, size, 0) != size:
            raise ModelError("llama.cpp cannot save the state of a prompt template")
        if self._store is not None and worth_storing(time.perf_counter() - began, size):
            self._store.save(state_key(self._key, prefix), state)
        return state


def place_prefixes(context: LlamaContext, states: Sequence[State]) -> None:
    """Empty the context and put `states` into it: number `n` into sequence `context.parallel + n`. Raises ModelError without room."""
    import llama_cpp

    llama_cpp.llama_memory_clear(context.memory, False)
    for number, state in enumerate(states):
        if not put_state(context, state, context.parallel + number):
            raise ModelError("llama.cpp cannot put a prompt template back into its context", "give it more room with --context")


def copy_prefix(context: LlamaContext, number: int, sequence: int) -> None:
    """Let `sequence` begin with the prefix placed as `number`; no data moves."""
    import llama_cpp

    llama_cpp.llama_memory_seq_cp(context.memory, context.parallel + number, sequence, -1, -1)


def put_state(context: LlamaContext, state: State, sequence: int) -> bool:
    """Fill `sequence` with a saved state; whether llama.cpp took it."""
    import llama_cpp

    return bool(llama_cpp.llama_state_seq_set_data(context.handle, state, len(state), sequence))
