"""Exact ROUGE-L, where the common tokens stand, and candidates against a pool that grows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import scoring
from rouge_score.rouge_scorer import RougeScorer

from studio.loop import novelty as module
from studio.loop.novelty import MOST_TOKENS, NoveltyIndex, align, f1, f1_array, lcs_length, lcs_pairs, rouge_l, token_spans
from studio.loop.tokens import TOKENIZERS, Tokenizer, Vocabulary, ascii_tokens, unicode_tokens
from studio.records import Neighbour, Novelty
from support.nasty_text import NASTY_TEXTS

SCORER = RougeScorer(["rougeL"], use_stemmer=False)

Pool = list[tuple[int, str, bool]]


def released(target: str, prediction: str) -> float:
    return float(SCORER.score(target, prediction)["rougeL"].fmeasure)


def naive(text: str, pool: Pool) -> Novelty:
    """The released code's way: each pair scored on its own."""
    if not pool:
        return Novelty()
    scored = [(released(text, other), task_id, is_seed) for task_id, other, is_seed in pool]
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


LONGEST = 60


def all_lengths() -> list[tuple[int, int, int]]:
    return [(lcs, m, n) for m in range(1, LONGEST + 1) for n in range(1, LONGEST + 1) for lcs in range(min(m, n) + 1)]


def test_every_length_in_both_orders() -> None:
    for lcs, m, n in all_lengths():
        expected = scoring.fmeasure(lcs / n, lcs / m)
        assert f1(lcs, m, n) == expected
        assert f1(lcs, n, m) == expected


def test_numpy_has_the_bits_of_python() -> None:
    lengths = np.array(all_lengths())
    expected = np.array([f1(*row) for row in lengths.tolist()])
    for kind in (np.int64, np.uint16, np.uint8):
        scores = f1_array(*(column.astype(kind) for column in lengths.T))
        assert scores.tobytes() == expected.tobytes()


def test_the_boundary() -> None:
    # 2 L / (m + n) = 7 / 10 in mathematics.
    exact = [(lcs, m, n) for lcs, m, n in all_lengths() if 20 * lcs == 7 * (m + n)]
    scores = [f1(*lengths) for lengths in exact]
    assert len(exact) == 86
    assert sum(score > 0.7 for score in scores) == 50
    assert set(scores) == {0.6999999999999998, 0.7, 0.7000000000000001, 0.7000000000000002}
    for lcs, m, n in exact:
        target = " ".join(f"w{place}" for place in range(m))
        prediction = " ".join(f"w{place}" if place < lcs else f"x{place}" for place in range(n))
        assert released(target, prediction) == released(prediction, target) == rouge_l(ascii_tokens(target), ascii_tokens(prediction))


def test_thousands_of_random_pairs() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        vocabulary = [f"w{number}" for number in range(rng.choice([2, 5, 20]))]
        a, b = (" ".join(rng.choices(vocabulary, k=rng.randrange(25))) for _ in range(2))
        score = rouge_l(ascii_tokens(a), ascii_tokens(b))
        assert score == released(a, b) == released(b, a)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_texts(a: str, b: str) -> None:
    assert rouge_l(ascii_tokens(a), ascii_tokens(b)) == released(a, b)


def test_nothing_against_anything() -> None:
    assert rouge_l([], []) == rouge_l([], ["a"]) == rouge_l(["a"], []) == 0.0
    assert f1(0, 0, 0) == 0.0
    assert f1_array(np.zeros(1, np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64)).tolist() == [0.0]


def test_lcs_length() -> None:
    assert lcs_length(list("abcde"), list("xbydz")) == 2
    assert lcs_length(["a"] * 300, ["a"] * 299 + ["b"]) == 299


WORDS = st.lists(st.sampled_from(["name", "three", "rivers", "of", "asia", "x1"]), max_size=12)


@given(WORDS, WORDS)
def test_pairs_are_a_longest_common_subsequence(a: list[str], b: list[str]) -> None:
    pairs = lcs_pairs(a, b)
    assert len(pairs) == lcs_length(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(first=st.text(max_size=60), second=st.text(max_size=60))
def test_the_numbers_are_those_of_the_score(name: str, first: str, second: str) -> None:
    tokenizer = TOKENIZERS[name]
    found = align(first, second, tokenizer)
    assert found.score == rouge_l(tokenizer(first), tokenizer(second))
    for text, spans in ((first, found.first), (second, found.second)):
        assert all(0 <= start < stop <= len(text) for start, stop in spans)
        assert list(spans) == sorted(spans)
        assert all(left[1] <= right[0] for left, right in pairwise(spans))


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_every_token_of_a_nasty_text_has_a_place(name: str, text: str) -> None:
    tokens = TOKENIZERS[name](text)
    spans = token_spans(text, tokens, TOKENIZERS[name])
    assert len(spans) == len(tokens)
    assert all(text[start:stop] for start, stop in spans)


def test_words_are_marked_without_their_punctuation() -> None:
    first, second = "Name (three) well-known rivers!", "name three known Rivers."
    found = align(first, second, TOKENIZERS["unicode"])
    assert [first[start:stop] for start, stop in found.first] == ["Name", "three", "known", "rivers"]
    assert [second[start:stop] for start, stop in found.second] == ["name", "three", "known", "Rivers"]
    assert (found.lcs, found.m, found.n) == (4, 5, 4)


def test_unspaced_scripts_are_marked_by_character() -> None:
    found = align("写一首诗", "写两首诗", TOKENIZERS["unicode"])
    assert found.first == ((0, 1), (2, 3), (3, 4))


def test_folded_letters_are_found() -> None:
    text = "ﬁnd the Straße"
    tokens = TOKENIZERS["unicode"](text)
    assert [text[start:stop] for start, stop in token_spans(text, tokens, TOKENIZERS["unicode"])] == ["ﬁnd", "the", "Straße"]


def test_very_long_texts_have_numbers_and_no_marks() -> None:
    text = "word " * (MOST_TOKENS + 1)
    found = align(text, "a word", TOKENIZERS["ascii"])
    assert (found.lcs, found.m, found.n, found.first) == (1, MOST_TOKENS + 1, 2, ())
