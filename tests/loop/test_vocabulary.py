"""Tokens as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq

from studio.loop import tokens as module
from studio.loop.tokens import BREAK, Vocabulary


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
