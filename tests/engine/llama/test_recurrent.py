"""Models that keep a state instead of, or beside, keys and values share the beginnings of their prompts: whole states are copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.engine.api import Request
from studio.engine.catalog import identify
from studio.engine.llama import prefixes
from studio.engine.llama.context import LlamaContext
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.model import LlamaModel
from studio.engine.llama.prefixes import Prefixes, PrefixStore, place_prefixes
from studio.engine.options import KV_CELLS, PREFIX_SEQUENCES, EngineOptions
from support.engines import complete, outcome, request
from support.logits import divergence
from support.tiny_models import tiny_model

PARALLEL = 6
OPTIONS = EngineOptions(context=2048, threads=1, parallel=PARALLEL, contexts=1)
BEGINNINGS = [np.random.default_rng(number).integers(0, 256, 30 + 19 * number).tolist() for number in range(PREFIX_SEQUENCES)]
ENDS = [np.random.default_rng(number).integers(0, 256, 1 + 3 * number).tolist() for number in range(PARALLEL)]
TEMPLATE = "Say of each animal in turn whether it can fly, and if not, why: "


@pytest.fixture(params=["mamba", "jamba"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model of which every layer keeps a state, and one of which one layer does and one attends."""
    return tiny_model(tmp_path / f"{request.param}.gguf", request.param)


@pytest.fixture(params=KV_CELLS)
def context(path: Path, request: pytest.FixtureRequest) -> Iterator[LlamaContext]:
    model = LlamaModel(str(path), replace(OPTIONS, kv_cells=request.param, context=20 * 256))
    yield model.contexts[0]
    model.close()


def whole(context: LlamaContext, tokens: list[int]) -> list[np.ndarray]:
    """What is predicted after `tokens`, and after the most probable one of that."""
    context.clear()
    row = context.add(tokens, 0, 0, logits=1)
    assert context.evaluate()
    first = context.block(row, 1)[0].copy()
    row = context.add([int(first.argmax())], len(tokens), 0, logits=1)
    assert context.evaluate()
    return [first, context.block(row, 1)[0].copy()]


def test_a_copied_state_predicts_what_the_whole_prompt_does(context: LlamaContext) -> None:
    """Every sequence there is in use: each has a state of its own from its first token on, those copied from keep theirs."""
    pairs = [(number % PREFIX_SEQUENCES, number) for number in range(PARALLEL)]
    truth = [whole(context, BEGINNINGS[start] + ENDS[end]) for start, end in pairs]
    states = []
    for tokens in BEGINNINGS:
        context.clear()
        context.add(tokens, 0, 0, logits=0)
        assert context.evaluate()
        states.append(context.state(0))
    place_prefixes(context, states)
    for _ in range(2):  # in sequences that were used before as well
        for sequence, (start, _) in enumerate(pairs):
            context.forget(sequence)
            context.copy(context.parallel + start, sequence)
        rows = [context.add(ENDS[end], len(BEGINNINGS[start]), sequence, logits=1) for sequence, (start, end) in enumerate(pairs)]
        assert context.evaluate()
        first = [context.block(row, 1)[0].copy() for row in rows]
        rows = [
            context.add([int(first[sequence].argmax())], len(BEGINNINGS[start] + ENDS[end]), sequence, logits=1)
            for sequence, (start, end) in enumerate(pairs)
        ]
        assert context.evaluate()
        second = [context.block(row, 1)[0].copy() for row in rows]
        for sequence, expected in enumerate(truth):
            assert divergence(np.array(expected, float), np.array([first[sequence], second[sequence]], float)) < 1e-9


def requests() -> list[Request]:
    return [request(f"{animal}. ", TEMPLATE, seed=seed, temperature=1.0) for seed, animal in enumerate(("owl", "a pig", "two bees") * 4)]


def test_its_templates_are_evaluated_once_and_come_from_the_disk(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "worth_storing", lambda _seconds, _size: True)
    store = PrefixStore(tmp_path / "states")
    with closing(LlamaEngine(identify(path), OPTIONS, store=store)) as engine:
        assert engine.info.notices == ()
        cold, warm = complete(engine, requests()), complete(engine, requests())
    assert cold[1].cached_tokens == len(TEMPLATE) - 1 and outcome(warm) == outcome(cold) and len({each.text for each in cold}) > 3
    monkeypatch.setattr(Prefixes, "_evaluate", lambda *_: pytest.fail("the template was evaluated again"))
    with closing(LlamaEngine(identify(path), OPTIONS, store=store)) as again:
        assert outcome(complete(again, requests())) == outcome(cold)
