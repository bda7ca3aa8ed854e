"""Contexts of one model that compute side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.engine.api import CancelToken, EngineEvent, FinishReason, TextPiece
from studio.engine.llama.context import Cores
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.vocab import open_vocabulary
from studio.engine.options import EngineOptions
from support.engines import animal_requests, bundled_identity, complete, outcome

SAMPLED = {"temperature": 1.0, "top_p": 0.95, "presence_penalty": 1.5, "max_tokens": 6}


@pytest.fixture(scope="module")
def two() -> Iterator[LlamaEngine]:
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=12_288, threads=2, parallel=4, contexts=2))
    yield engine
    engine.close()


def test_cores_are_divided_among_those_that_compute() -> None:
    cores = Cores(3)
    first, second = object(), object()
    assert cores.share(first) == 3
    with cores.computing(first):
        assert cores.share(first) == 3
        with cores.computing(second):
            assert (cores.share(first), cores.share(second)) == (2, 1)
        assert cores.share(first) == 3
    with cores.computing(1), cores.computing(2), cores.computing(3), cores.computing(4):
        assert [cores.share(number) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


@pytest.mark.real_model
def test_both_contexts_are_used_and_shown(two: LlamaEngine) -> None:
    assert (two.info.contexts, two.info.parallel, two.info.context_tokens) == (2, 4, 12_288)


@pytest.mark.real_model
def test_completions_are_equal_from_run_to_run(two: LlamaEngine) -> None:
    batch = animal_requests(6, **SAMPLED)
    first = complete(two, batch)
    two.forget_prefixes()
    again = complete(two, batch)
    assert outcome(first) == outcome(again)
    # The template is evaluated once for both.
    assert [c.cached_tokens == 0 for c in again] == [True, *[False] * 5]


@pytest.mark.real_model
def test_prompts_that_are_tokenised_side_by_side_keep_their_order(two: LlamaEngine) -> None:
    batch = animal_requests(20, max_tokens=1)
    vocabulary = open_vocabulary(Path(bundled_identity().path))
    lengths = [len(vocabulary.tokenise(each.prefix + each.suffix, begin=True)) for each in batch]
    vocabulary.close()
    assert [each.prompt_tokens for each in complete(two, batch)] == lengths and len(set(lengths)) > 1


@pytest.mark.real_model
@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(two: LlamaEngine) -> None:
    batch = animal_requests(5, **SAMPLED)
    other = LlamaEngine(bundled_identity(), EngineOptions(context=12_288, threads=3, parallel=4, contexts=2))
    try:
        assert outcome(complete(other, batch)) == outcome(complete(two, batch))
    finally:
        other.close()


@pytest.mark.real_model
def test_cancelling_reaches_both(two: LlamaEngine) -> None:
    cancel = CancelToken()

    def watch(event: EngineEvent) -> None:
        if isinstance(event, TextPiece):
            cancel.cancel()

    cut = complete(two, animal_requests(8, max_tokens=200, ignore_eos=True), cancel, watch)
    assert {c.finish_reason for c in cut} == {FinishReason.CANCELLED}


@pytest.mark.real_model
def test_a_batch_nobody_listens_to_ends_in_both(two: LlamaEngine) -> None:
    batch = animal_requests(6, **SAMPLED)
    expected = outcome(complete(two, batch))
    events = two.stream(animal_requests(8, max_tokens=400, ignore_eos=True), CancelToken())
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert outcome(complete(two, batch)) == expected
