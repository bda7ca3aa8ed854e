"""The promise behind reproducible pools: a batch gives the same completions whatever the engine has done before."""

from __future__ import annotations

import pytest

from studio.engine.api import CancelToken, EngineEvent, FinishReason, TextPiece
from studio.engine.llama.engine import LlamaEngine
from studio.engine.options import EngineOptions
from support.engines import TEMPLATE, animal_requests, bundled_identity, complete, outcome, request

pytestmark = pytest.mark.real_model

SAMPLED = {"temperature": 1.0, "top_p": 0.95, "presence_penalty": 1.5, "max_tokens": 6}
OTHER = "Colours and moods, one for each line.\n\n" + "red: anger\ngreen: hope\nblue: calm\n" * 6
BATCH = [
    *animal_requests(5, **SAMPLED),
    *(request(f"{word}:", OTHER, seed=n, **SAMPLED) for n, word in enumerate(("grey", "pink", "gold"))),
]


@pytest.fixture(scope="module")
def expected(llama: LlamaEngine) -> list[tuple[str, str, int, int, str]]:
    """What `BATCH` gives."""
    return outcome(complete(llama, BATCH))


def test_cold_and_warm_templates_give_equal_completions(llama: LlamaEngine) -> None:
    llama.forget_prefixes()
    cold = complete(llama, BATCH)
    warm = complete(llama, BATCH)
    assert outcome(warm) == outcome(cold)
    assert sum(c.cached_tokens for c in warm) > sum(c.cached_tokens for c in cold)
    assert cold[0].cached_tokens == 0 < warm[0].cached_tokens


def test_what_ran_before_does_not_matter(llama: LlamaEngine, expected: list[tuple[str, str, int, int, str]]) -> None:
    complete(llama, [request("Anything", f"{OTHER}{n}", max_tokens=3) for n in range(2)])
    complete(llama, [request("word " * 100, max_tokens=2), *animal_requests(5, max_tokens=4, temperature=2.0)])
    assert outcome(complete(llama, BATCH)) == expected


def test_a_cancelled_batch_leaves_no_trace(llama: LlamaEngine, expected: list[tuple[str, str, int, int, str]]) -> None:
    cancel = CancelToken()

    def watch(event: EngineEvent) -> None:
        if isinstance(event, TextPiece):
            cancel.cancel()

    cut = complete(llama, BATCH, cancel, watch)
    assert {c.finish_reason for c in cut} == {FinishReason.CANCELLED}
    llama.forget_prefixes()
    assert outcome(complete(llama, BATCH)) == expected


def test_another_engine_with_more_threads_gives_the_same(llama: LlamaEngine) -> None:
    small = BATCH[3:6]
    expected = outcome(complete(llama, small))
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=6144, threads=2, parallel=4))
    try:
        assert outcome(complete(engine, small)) == expected
    finally:
        engine.close()


def test_more_templates_than_fit_at_once(llama: LlamaEngine) -> None:
    prefixes = [f"{n}. {TEMPLATE}" for n in range(6)]
    requests = [request(f"Animal: {animal}\nCan it fly?", prefix, max_tokens=2) for animal in ("cat", "gull") for prefix in prefixes]
    first = complete(llama, requests)
    assert all(c.completion_tokens for c in first)
    assert outcome(complete(llama, requests)) == outcome(first)


def test_the_border_of_the_prefix_does_not_move_with_the_suffix(llama: LlamaEngine) -> None:
    complete(llama, [request(" word", OTHER, max_tokens=1)])
    for suffix in ("word", "\n\nword", " Word", "1", "\u00e9"):
        [completion] = complete(llama, [request(suffix, OTHER + "Say:", max_tokens=1)])
        assert completion.cached_tokens == 0 or suffix != "word"
    [completion] = complete(llama, [request("different", OTHER + "Say:", max_tokens=1)])
    assert completion.cached_tokens > 0


def test_a_prompt_that_is_only_the_prefix_keeps_a_token_of_its_own(llama: LlamaEngine) -> None:
    complete(llama, animal_requests(1))
    [completion] = complete(llama, [request("", TEMPLATE, max_tokens=2)])
    assert completion.cached_tokens < completion.prompt_tokens
    assert completion.completion_tokens == 2
