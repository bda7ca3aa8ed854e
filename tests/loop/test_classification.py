"""The answer to "is it a classification task?"."""

from __future__ import annotations

import pytest
from hypothesis import given

from loop.nasty import any_text
from studio.loop.parsing import parse_classification


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
