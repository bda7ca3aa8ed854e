"""The first computation where llama.cpp would use the CPU's matrix instructions, and the model without them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import llama_cpp
import numpy as np
import pytest

from studio.engine.llama.context import PLAIN_NOTICE, Cores, LlamaContext, try_tiles
from studio.engine.llama.model import LlamaModel
from studio.engine.options import EngineOptions
from support.engines import bundled_identity
from support.logits import divergence


class _Lib:
    """Stands for what the trial asks of llama.cpp: notes what was decoded and whether the context was cleared."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, described: bytes) -> None:
        self.rows: list[tuple[int, int, int]] = []
        self.logits: list[bool] = []
        self.steps: list[str] = []
        monkeypatch.setattr(llama_cpp, "llama_print_system_info", lambda: described)
        for name in ("llama_decode", "llama_memory_clear"):
            monkeypatch.setattr(llama_cpp, name, getattr(self, name))
        for name in ("llama_n_ctx", "llama_n_ctx_seq"):
            monkeypatch.setattr(llama_cpp, name, lambda _: 8)
        monkeypatch.setattr(llama_cpp, "llama_get_memory", lambda handle: f"memory of {handle}")
        monkeypatch.setattr(llama_cpp, "llama_set_n_threads", lambda *_: None)
        vocabulary: Any = SimpleNamespace(size=4)
        self.context = LlamaContext("it", vocabulary, parallel=1, rows=8, outputs=8, cores=Cores(1))

    def llama_decode(self, context: str, batch: Any) -> int:
        self.rows = [(batch.token[row], batch.pos[row], batch.seq_id[row][0]) for row in range(batch.n_tokens)]
        self.logits = [bool(batch.logits[row]) for row in range(batch.n_tokens)]
        self.steps.append(f"decode {context}")
        return 0

    def llama_memory_clear(self, memory: str, _data: bool) -> None:
        self.steps.append(f"clear {memory}")


def test_two_rows_are_computed_and_forgotten_where_tiles_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    lib = _Lib(monkeypatch, b"CPU : AVX2 = 1 | AMX_INT8 = 1 | REPACK = 1 | ")
    try_tiles(lib.context)
    assert lib.rows == [(0, 0, 0), (0, 1, 0)] and lib.logits == [False, True]
    assert lib.steps == ["decode it", "clear memory of it"]


def test_a_batch_holds_the_rows_that_were_added_since_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lib = _Lib(monkeypatch, b"")
    assert lib.context.add((5, 6, 7), 10, 0, logits=3) == 2
    lib.context.evaluate()
    assert lib.context.add([1, 2, 3], 4, 2, logits=2) == 2
    assert lib.context.add((8,), 90, 1, logits=1) == 3
    assert lib.context.add((4, 4), 0, 0, logits=0) == 5
    lib.context.evaluate()
    assert lib.rows == [(1, 4, 2), (2, 5, 2), (3, 6, 2), (8, 90, 1), (4, 0, 0), (4, 1, 0)]
    assert lib.logits == [False, True, True, True, False, False]


@pytest.mark.parametrize("described", [b"CPU : AVX2 = 1 | REPACK = 1 | ", b"CPU : AMX_INT8 = 0 | ", b""])
def test_nothing_is_computed_elsewhere(monkeypatch: pytest.MonkeyPatch, described: bytes) -> None:
    lib = _Lib(monkeypatch, described)
    try_tiles(lib.context)
    assert not lib.steps


@pytest.mark.real_model
def test_without_them_the_model_predicts_the_same_and_says_that_it_is_slower() -> None:
    predicted = []
    for plain in (False, True):
        model = LlamaModel(bundled_identity().path, EngineOptions(context=512, threads=1, parallel=1, contexts=1), plain=plain)
        assert model.notices == ((PLAIN_NOTICE,) if plain else ())
        [context] = model.contexts
        tokens = model.vocabulary.tokenise("Name three rivers that flow through Germany, and the seas they reach.", begin=True)
        row = context.add(tokens, 0, 0, logits=1)
        assert context.evaluate()
        predicted.append(context.block(row, 1).astype(np.float64))
        model.close()
    # Sums over the same products in another order, and inputs rounded to 8 bits in other blocks.
    assert divergence(*predicted) < 0.02
