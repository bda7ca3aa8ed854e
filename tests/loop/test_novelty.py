"""The novelty index against `rouge_score` itself, one pair at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from studio.loop import novelty as module
from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS, Tokenizer, Vocabulary, ascii_tokens, unicode_tokens
from studio.records import Neighbour, Novelty

SCORER = RougeScorer(["rougeL"], use_stemmer=False)

Pool = list[tuple[int, str, bool]]


def naive(text: str, pool: Pool) -> Novelty:
    """The released code's way: each pair scored on its own."""
    if not pool:
        return Novelty()
    scored = [(float(SCORER.score(text, other)["rougeL"].fmeasure), task_id, is_seed) for task_id, other, is_seed in pool]
    best = sorted(scored, key=lambda entry: -entry[0])[:10]
    return Novelty(
        tuple(Neighbour(task_id, score) for score, task_id, _ in best),
        sum(score for score, _, _ in scored) / len(scored),
        max((score for score, _, is_seed in scored if is_seed), default=0.0),
    )


def check(pool: Pool, batches: Sequence[Sequence[str]], threshold: float = 0.7) -> None:
    """Decide the batches in order with the index and the naive way; both must agree at every step."""
    index = NoveltyIndex(ascii_tokens)
    index.extend(pool)
    pool = list(pool)
    for texts in batches:
        batch = index.batch(texts)
        for place, text in enumerate(texts):
            found, expected = batch.novelty(place), naive(text, pool)
            assert found.neighbours == expected.neighbours
            assert found.seed_score == expected.seed_score
            assert found.mean == pytest.approx(expected.mean, abs=1e-12)
            assert batch.novelty(place) == found
            if found.score <= threshold:
                task_id = 1000 + len(pool)
                batch.accept(place, task_id)
                pool.append((task_id, text, False))
    assert len(index) == len(pool)


words = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "gg", "hh"]), max_size=12).map(" ".join)
texts = st.one_of(words, words, st.text(max_size=30))
pools = st.lists(st.tuples(texts, st.booleans()), max_size=30).map(
    lambda entries: [(7 * place + 3, text, is_seed) for place, (text, is_seed) in enumerate(entries)]
)


@given(pools, st.lists(st.lists(texts, max_size=6), max_size=3))
def test_as_rouge_score_with_sequential_acceptance(pool: Pool, batches: list[list[str]]) -> None:
    check(pool, batches)


@given(pools, st.lists(texts, min_size=1, max_size=4), st.integers(1, 9))
def test_in_chunks(pool: Pool, batch: list[str], cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CELLS", cells)
        check(pool, [batch])


@given(pools, st.lists(texts, min_size=1, max_size=4))
def test_with_more_tokens_than_code_points(pool: Pool, batch: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Vocabulary", partial(Vocabulary, first=0x10FFFD))
        check(pool, [batch])


def state(index: NoveltyIndex) -> object:
    return index._encoded, index._lengths, index._task_ids, index._seeds, dict(index._vocabulary._numbers)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values())
@given(pool=pools, later=pools, size=st.integers(1, 9), first=st.sampled_from([1, 0x10FFFD]))
def test_extending_is_adding_one_by_one(tokenizer: Tokenizer, pool: Pool, later: Pool, size: int, first: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", size)
        patch.setattr(module, "Vocabulary", partial(Vocabulary, first=first))
        bulk, single = NoveltyIndex(tokenizer), NoveltyIndex(tokenizer)
        for part in (pool, later):
            bulk.extend(iter(part))
            for task_id, text, is_seed in part:
                single.add(task_id, text, is_seed=is_seed)
            assert state(bulk) == state(single)


def test_ties_go_in_pool_order() -> None:
    pool = [(50 - place, "same words here" if place % 2 else "other", False) for place in range(40)]
    found = NoveltyIndex(ascii_tokens)
    found.extend(pool)
    best = found.batch(["same words here"]).novelty(0).neighbours
    assert [neighbour.task_id for neighbour in best] == [49, 47, 45, 43, 41, 39, 37, 35, 33, 31]


def test_empty_pool_and_empty_batch() -> None:
    index = NoveltyIndex(ascii_tokens)
    batch = index.batch(["one two", "one two", ""])
    assert batch.novelty(0) == Novelty()
    assert batch.novelty(0).nearest is None
    batch.accept(0, 5)
    assert batch.novelty(1) == Novelty((Neighbour(5, 1.0),), 1.0, 0.0)
    assert batch.novelty(2) == Novelty((Neighbour(5, 0.0),), 0.0, 0.0)
    index.batch([])
    assert len(index) == 1


def test_texts_without_tokens() -> None:
    index = NoveltyIndex(ascii_tokens)
    index.add(1, "中文", is_seed=True)
    assert index.batch(["中文"]).novelty(0).score == 0.0
    scripts = NoveltyIndex(unicode_tokens)
    scripts.add(1, "中文", is_seed=True)
    assert scripts.batch(["中文"]).novelty(0) == Novelty((Neighbour(1, 1.0),), 1.0, 1.0)


def test_a_task_added_meanwhile_is_seen() -> None:
    index = NoveltyIndex(ascii_tokens)
    batch = index.batch(["brand new words"])
    index.add(3, "brand new words", is_seed=True)
    assert batch.novelty(0) == Novelty((Neighbour(3, 1.0),), 1.0, 1.0)


def test_two_unknown_words_are_not_the_same() -> None:
    index = NoveltyIndex(ascii_tokens)
    batch = index.batch(["unheard word", "unseen word"])
    batch.accept(0, 1)
    assert batch.novelty(1).score == 0.5


def test_rejected_candidates_leave_nothing_behind() -> None:
    index = NoveltyIndex(ascii_tokens)
    index.add(1, "a b c", is_seed=True)
    index.batch(["x y z"]).novelty(0)
    assert len(index) == 1
    assert len(index._vocabulary) == 3


@pytest.mark.parametrize("length", [200, 255, 256, 300, 70_000])
def test_long_texts(length: int) -> None:
    index = NoveltyIndex(ascii_tokens)
    text = " ".join(f"w{number % 251}" for number in range(length))
    index.add(1, text, is_seed=False)
    index.add(2, "w1", is_seed=False)
    found = index.batch([text, "w1"])
    assert found.novelty(0).score == 1.0
    assert found.novelty(1).neighbours[0] == Neighbour(2, 1.0)
