"""Completions fall apart: candidates, instances, a yes or no."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.nasty import any_text
from studio.loop.filters import REASONS
from studio.loop.parsing import ParsedCandidate, collapse, parse_classification, parse_instructions, parse_triples


def texts(text: str, **options: bool) -> list[str]:
    given_options = {"truncated": False, "keep_complete": False, "capitalize": False} | options
    return [candidate.text for candidate in parse_instructions(text, **given_options)]


def test_first_item_has_no_number() -> None:
    assert texts(" Do this.\n10. Do   that\nat once.\n11 . And this.") == ["Do this.", "Do that at once.", "And this."]


@pytest.mark.parametrize("text", ["In 2016. Nothing", "a\n10.Nothing", "a\n10) Nothing", "a\n 10. Nothing", "a\n10  . Nothing"])
def test_only_the_released_mark_splits(text: str) -> None:
    assert len(texts(text)) == 1


def test_case_is_kept_unless_capitalised() -> None:
    assert texts("tell me about DNA") == ["tell me about DNA"]
    assert texts("tell me about DNA", capitalize=True) == ["Tell me about dna"]


def test_truncation() -> None:
    text = "One.\n10. Two.\n11. Thr"
    assert [c.discard for c in parse_instructions(text, truncated=True, keep_complete=False, capitalize=False)] == ["truncated"] * 3
    assert [c.discard for c in parse_instructions(text, truncated=True, keep_complete=True, capitalize=False)] == ["", "", "truncated"]
    assert [c.discard for c in parse_instructions(text, truncated=False, keep_complete=True, capitalize=False)] == ["", "", ""]


def test_triples() -> None:
    text = (
        " Add the numbers.\n4. Input:\n1, 2\n4. Output:\n3\n###\n5. Instruction: Wrong number.\n6. Input: a\n5. Output: b\n"
        "###\n6. Instruction: Say hello.\n6. Input:\n<NOINPUT>\n6. Output:\nHello.\n###\n7. Instruction: Cut"
    )
    assert parse_triples(text, first_number=4, truncated=True) == [
        ParsedCandidate("Add the numbers.", "", "1, 2", "3"),
        ParsedCandidate("Wrong number.\n6. Input: a", "malformed_item"),
        ParsedCandidate("Say hello.", "", "", "Hello."),
        ParsedCandidate("Cut", "truncated"),
    ]


def test_collapse_knows_the_same_white_space_as_the_released_pattern() -> None:
    for first in range(0, sys.maxunicode + 1, 4096):
        text = "".join(f"a{chr(code)}b" for code in range(first, first + 4096))
        assert collapse(text) == re.sub(r"\s+", " ", text).strip()


@given(any_text, st.booleans(), st.booleans(), st.booleans())
def test_no_text_makes_a_parser_raise(text: str, truncated: bool, keep: bool, capitalize: bool) -> None:
    listed = parse_instructions(text, truncated=truncated, keep_complete=keep, capitalize=capitalize)
    triples = parse_triples(text, first_number=4, truncated=truncated)
    for candidates in (listed, triples):
        assert candidates
        assert all(candidate.discard in ("", *REASONS) for candidate in candidates)
        assert bool(candidates[-1].discard) or not truncated
    assert all((triple.output is None) == bool(triple.discard) for triple in triples)
    assert all("\n" not in candidate.text for candidate in listed)


@pytest.mark.parametrize("filler", [" ", "\n", "\n1", "1", "\n1 ", "4. ", "\n- ", "###", "4.\n", "\t", "4. Input:"])
def test_long_texts_stay_affordable(filler: str) -> None:
    # Patterns that give back would need some 10^10 steps here.
    text = filler * 200_000
    assert parse_instructions(text, truncated=False, keep_complete=True, capitalize=True)
    assert parse_instructions(text, truncated=False, keep_complete=True, capitalize=True)
    assert parse_triples(text, first_number=4, truncated=False)


@pytest.mark.parametrize("text", ["Yes", " yes", "YES\n", "\tYes "])
def test_yes(text: str) -> None:
    assert parse_classification(text)


@pytest.mark.parametrize("text", ["", "No", "Yes.", "yEs", "Yes, it is", "Y", "True", "Yes\nNo"])
def test_everything_else_is_no(text: str) -> None:
    assert not parse_classification(text)


@pytest.mark.parametrize(
    "text", ["Yes.", " Yes, it is", "**Yes**", "yes!", "“Yes”", "Answer: Yes.", "A: yes", "Yes\nNo", "是", "是的。", "Ja.", "हाँ"]
)
def test_yes_in_other_forms(text: str) -> None:
    assert parse_classification(text, tolerant=True)


@pytest.mark.parametrize("text", ["", "No", "**No**", "Not yes", "Yesterday", "Yes/No", "不是", "否", "\n"])
def test_no_in_other_forms(text: str) -> None:
    assert not parse_classification(text, tolerant=True)


@given(any_text)
def test_no_text_raises(text: str) -> None:
    parse_classification(text, tolerant=True)
    assert parse_classification(text) == (text.strip() in ("Yes", "yes", "YES"))
