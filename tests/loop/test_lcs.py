"""The common subsequence is a longest one, and its tokens are found again in the texts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.loop.novelty import MOST_TOKENS, align, lcs_length, lcs_pairs, rouge_l, token_spans
from studio.loop.tokens import TOKENIZERS
from support.nasty_text import NASTY_TEXTS

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
