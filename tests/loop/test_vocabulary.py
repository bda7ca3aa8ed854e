"""Tokens as numbers."""

from __future__ import annotations

from rapidfuzz.distance import LCSseq

from studio.loop.vocabulary import Vocabulary


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
