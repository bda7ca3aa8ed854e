"""How text falls into tokens, and tokens as numbers."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq
from rouge_score.tokenizers import DefaultTokenizer

from studio.loop import tokens as module
from studio.loop.novelty import rouge_l
from studio.loop.tokens import BREAK, TOKENIZERS, Tokenizer, Vocabulary, ascii_tokens, joined_tokens, unicode_tokens

RELEASED = DefaultTokenizer(use_stemmer=False)


@given(st.text(max_size=100))
def test_ascii_is_rouge_scores(text: str) -> None:
    assert ascii_tokens(text) == RELEASED.tokenize(text)


def test_ascii_is_rouge_scores_for_every_character() -> None:
    for first in range(0, sys.maxunicode + 1, 4096):
        text = " ".join(f"a{chr(code)}1" for code in range(first, first + 4096) if not 0xD800 <= code < 0xE000)
        assert ascii_tokens(text) == RELEASED.tokenize(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop, Mr_X!", ["don", "t", "stop", "mr", "x"]),
        ("请翻译成English吧", ["请", "翻", "译", "成", "english", "吧"]),
        ("東京タワーへ行く", ["東", "京", "タ", "ワ", "ー", "へ", "行", "く"]),
        ("한국어로 번역하세요", ["한국어로", "번역하세요"]),
        ("اكتب قصيدة، من فضلك", ["اكتب", "قصيدة", "من", "فضلك"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("ΟΔΟΣ οδός", ["οδοσ", "οδόσ"]),
        ("กิน", ["ก", "\u0e34", "น"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("Ünïcödé naïve", ["ünïcödé", "naïve"]),
        ("don´t", ["don", "t"]),
        ("❤️ 😀 — …", []),
        ("１２３ ＡＢＣ", ["123", "abc"]),
        ("\ud800 x", ["x"]),
    ],
)
def test_unicode(text: str, tokens: list[str]) -> None:
    assert unicode_tokens(text) == tokens


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=100))
def test_unicode_of_ascii_is_ascii(text: str) -> None:
    assert unicode_tokens(text) == ascii_tokens(text)


@pytest.mark.parametrize(("a", "b"), [("cafe\u0301 au lait", "CAFÉ au lait"), ("ｶﾅ", "カナ"), ("ﬁsh", "fish"), ("か\u3099", "が")])
def test_what_looks_the_same_is_the_same(a: str, b: str) -> None:
    assert unicode_tokens(a) == unicode_tokens(b)


@given(st.text(max_size=60))
def test_unicode_tokens_of_any_text(text: str) -> None:
    tokens = unicode_tokens(text)
    assert all(token and not token.isspace() and "_" not in token for token in tokens)
    assert bool(tokens) >= any(char.isalpha() for char in text)


# Among them all that the bulk path could take for its own marks.
marks = st.sampled_from(
    ["", " ", "\0", "\x80", "\x85", "\n", "\x1c", "ÿ", "İ", "a\0b", "a\x80b", "x\x80", "\x80 y", "é", "中文", "Word, 2"]
)
any_texts = st.lists(
    st.one_of(marks, st.lists(marks).map("".join), st.text(max_size=20), st.text("aB1 \0\x80\n", max_size=20)), max_size=20
)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values())
@given(texts=any_texts)
def test_all_at_once_as_one_by_one(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert joined_tokens(tokenizer, texts).decode().split() == [token for text in texts for token in (*tokenizer(text), BREAK)]


def test_all_at_once_for_every_character() -> None:
    texts = [f"a{chr(code)}Z" for code in range(0x300)]
    for tokenizer in TOKENIZERS.values():
        assert joined_tokens(tokenizer, texts).decode().split() == [token for text in texts for token in (*tokenizer(text), BREAK)]


@given(st.text(max_size=60))
def test_no_tokenizer_gives_a_break(text: str) -> None:
    assert not any(BREAK in token for tokenizer in TOKENIZERS.values() for token in tokenizer(text + BREAK))


def test_other_scripts_are_not_always_new() -> None:
    text = "请把这句话翻译成英文"
    assert rouge_l(ascii_tokens(text), ascii_tokens(text)) == 0.0
    assert rouge_l(unicode_tokens(text), unicode_tokens(text)) == 1.0


def test_a_token_keeps_its_number() -> None:
    vocabulary = Vocabulary()
    assert vocabulary.add(["a", "b", "a"]) == "\x01\x02\x01"
    assert vocabulary.add(["c", "b"]) == "\x03\x02"
    assert vocabulary.encode(["a", "new", "c", "other"]) == "\x01\x00\x03\x00"
    assert len(vocabulary) == 3


def test_surrogates_are_left_out() -> None:
    vocabulary = Vocabulary(first=0xD7FE)
    assert vocabulary.add(["a", "b", "c", "d"]) == "\ud7fe\ud7ff\ue000\ue001"


def test_beyond_the_last_code_point() -> None:
    vocabulary = Vocabulary(first=0x10FFFE)
    assert vocabulary.add(["a", "b"]) == "\U0010fffe\U0010ffff"
    assert vocabulary.add(["b", "c", "d"]) == (0x10FFFF, 0x110000, 0x110001)
    assert vocabulary.encode(["c", "new"]) == (0x110000, 0)
    assert LCSseq.similarity(vocabulary.encode(["a", "b"]), vocabulary.encode(["b", "c"])) == 1
    assert LCSseq.similarity(vocabulary.encode(["b", "c", "a"]), vocabulary.encode(["b", "c"])) == 2


def test_no_tokens() -> None:
    assert Vocabulary().add([]) == Vocabulary().encode([]) == ""


def joined(lists: list[list[str]]) -> bytes:
    return " ".join(token for tokens in lists for token in (*tokens, BREAK)).encode()


tokens = st.one_of(
    st.integers(0, 12).map(str), st.text("aé中", min_size=1, max_size=20), st.sampled_from(["a" * size for size in range(1, 26)])
)
token_lists = st.lists(st.lists(tokens, max_size=8), max_size=12)


@pytest.mark.parametrize("first", [1, 120, 250, 0xD7FA, 0xFEF8, 0xFFF8, 0x10FFF8, 0x10FFFF, 0x110000])
@given(lists=token_lists, more=token_lists, slot_bits=st.sampled_from([1, 3, 18]))
def test_joined_as_one_by_one(first: int, lists: list[list[str]], more: list[list[str]], slot_bits: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SLOT_BITS", slot_bits)
        bulk, single = Vocabulary(first), Vocabulary(first)
        for part in (lists, more, lists):
            assert bulk.add_joined(joined(part)) == [single.add(tokens) for tokens in part]
            assert len(bulk) == len(single)


def test_joined_beyond_all_kinds_of_strings() -> None:
    bulk, single = Vocabulary(), Vocabulary()
    lists = [[str(number) for number in range(70_000)], [], ["5", "69999", "5"]]
    assert bulk.add_joined(joined(lists)) == [single.add(tokens) for tokens in lists]
    assert bulk.add_joined(joined([])) == []
