"""Sequences with keys and values of their own: the same predictions and completions, other limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import studio.engine.llama.prefixes as prefixes
from studio.engine.api import EngineInfo, FinishReason
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.model import LlamaModel
from studio.engine.llama.prefixes import PrefixStore, fingerprint, place_prefixes
from studio.engine.llama.scheduler import Job, Slots
from studio.engine.llama.setup import choose
from studio.engine.options import PREFIX_SEQUENCES, EngineOptions, default_context
from studio.errors import ModelError
from support.engines import TEMPLATE, animal_requests, bundled_identity, complete, outcome, request
from support.logits import divergence

EACH = 256
SEPARATE = EngineOptions(context=(4 + PREFIX_SEQUENCES) * EACH, threads=1, parallel=4, contexts=1, kv_cells="separate")


@pytest.fixture(scope="module")
def engine() -> Iterator[LlamaEngine]:
    """The bundled model over four sequences with cells of their own."""
    engine = LlamaEngine(bundled_identity(), SEPARATE)
    yield engine
    engine.close()


def _predicted(options: EngineOptions) -> Any:
    """The logits after some tokens behind a copied template, two sequences side by side, one of which was moved."""
    model = LlamaModel(bundled_identity().path, options)
    try:
        [context] = model.contexts
        assert context.separate == options.separate
        template = model.vocabulary.tokenise(TEMPLATE, begin=True)
        context.add(template, 0, 0, logits=0)
        assert context.evaluate()
        place_prefixes(context, [context.state(0)])
        suffixes = [model.vocabulary.tokenise(text) for text in ("Animal: horse\nCan it fly? No", "Animal: swan\nCan it fly? Yes")]
        rows: list[int] = []
        for sequence, suffix in enumerate(suffixes):
            context.copy(context.parallel, sequence)
            last = context.add(suffix, len(template), sequence, logits=len(suffix))
            rows += range(last - len(suffix) + 1, last + 1)
        assert context.evaluate()
        found = [context.block(row, 1)[0].copy() for row in rows]
        context.forget(0)
        context.copy(1, 0)
        context.forget(1)
        row = context.add([5], len(template) + len(suffixes[1]), 0, logits=1)
        assert context.evaluate()
        return np.array([*found, context.block(row, 1)[0]], dtype=np.float64)
    finally:
        model.close()


@pytest.mark.real_model
def test_the_model_predicts_the_same_with_either_kind_of_cells() -> None:
    unified = _predicted(replace(SEPARATE, kv_cells="unified"))
    # The same products, summed over other blocks of cells, and inputs rounded to 8 bits after that.
    assert divergence(unified, _predicted(SEPARATE)) < 0.005


@pytest.mark.real_model
def test_completions_are_those_of_shared_cells_and_the_same_each_time(engine: LlamaEngine, llama: LlamaEngine) -> None:
    # Of unequal lengths, so that sequences are moved to where others ended.
    requests = [replace(each, params=replace(each.params, max_tokens=2 + 5 * (n % 3))) for n, each in enumerate(animal_requests(9))]
    requests.append(request("The capital of France is", max_tokens=4))
    cold = complete(engine, requests)
    assert outcome(complete(engine, requests)) == outcome(cold)
    first = [completion.text.split()[0] for completion in cold]
    assert first == [completion.text.split()[0] for completion in complete(llama, requests)]
    assert (engine.info.streams, llama.info.streams) == (8, 0)


@pytest.mark.real_model
def test_a_sequence_has_its_own_part_of_the_context_and_no_more(engine: LlamaEngine) -> None:
    long = request("word " * EACH, max_tokens=2)
    [refused] = complete(engine, [long])
    assert refused.finish_reason is FinishReason.REFUSED
    assert f"the context holds {EACH}" in refused.detail
    # Each fills its own, all at the same time: together more than the requests of a shared context could.
    filling = [request("word " * (EACH - 40) + str(n), max_tokens=300, ignore_eos=True) for n in range(4)]
    for completion in complete(engine, filling):
        assert completion.finish_reason is FinishReason.LENGTH
        assert completion.prompt_tokens + completion.completion_tokens == EACH


@pytest.mark.real_model
def test_stored_templates_are_for_one_kind_and_one_number_of_sequences(
    engine: LlamaEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for options in (SEPARATE, replace(SEPARATE, parallel=2), replace(SEPARATE, kv_cells="unified")):
        model = LlamaModel(bundled_identity().path, options)
        keys.add(fingerprint("sha256", model))
        model.close()
    assert len(keys) == 3
    requests = animal_requests(2, max_tokens=3)
    monkeypatch.setattr(prefixes, "worth_storing", lambda *_: True)
    cached = []
    for _ in range(2):
        stored = LlamaEngine(bundled_identity(), SEPARATE, store=PrefixStore(tmp_path))
        completions = complete(stored, requests)
        stored.close()
        cached.append(completions[0].cached_tokens > 0)
        assert outcome(completions) == outcome(complete(engine, requests))
    assert cached == [False, True]


def test_the_last_sequence_goes_to_the_lowest_free_place() -> None:
    jobs = [Job(n, (1, 2), (), 4) for n in range(4)]
    slots = Slots(jobs, parallel=4, cells=100)
    begun = dict(slots.admit())
    for slot in (0, 2):
        slots.release(slot, begun[slot])
    assert slots.lower(3) == 0
    assert slots.lower(1) == 1
    slots.release(1, begun[1])
    assert slots.lower(0) == 0


def test_the_default_context_holds_a_template_and_a_request_for_each() -> None:
    options = EngineOptions(kv_cells="separate", parallel=6, contexts=1)
    setup = choose(options, [], None, threads=2)
    assert setup.context == default_context(6, separate=True)
    assert setup.cells_passed == setup.context // 10 >= 2600
    assert choose(replace(options, kv_cells="unified"), [], None, threads=2).streams == 0


def test_a_context_that_is_too_small_for_each_is_not_blamed_on_the_training() -> None:
    info = EngineInfo(replace(bundled_identity(), context_length=8192), "llama.cpp (CPU)", context_tokens=20_480, contexts=1)
    unified, separate = (info.no_room("it has 9000 tokens"), replace(info, streams=8).no_room("it has 3000 tokens"))
    assert isinstance(unified, ModelError) and "trained for 8,192" in str(unified)
    assert "trained" not in str(separate)
    assert separate.hint.startswith("raise --context")
