"""Each heuristic filter, its borders and its reason code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given

from loop.nasty import any_text
from studio.errors import UsageError
from studio.loop.filters import FILTERS, REASONS, first_failure
from studio.loop.settings import Method, profile

WORDS = ("image", "go to", "C++")
PLAIN = profile("code").model_copy(update={"blocked_words": WORDS})
SCRIPTS = profile("studio").model_copy(update={"blocked_words": WORDS})


def failure(text: str, names: Sequence[str], method: Method = PLAIN) -> str:
    return first_failure(text, method.model_copy(update={"filters": tuple(names)}))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("empty", "", "empty"),
        ("empty", "x", ""),
        ("length", "a b c", "too_short"),
        ("length", "a b c d", ""),
        ("length", "w " * 150, ""),
        ("length", "w " * 151, "too_long"),
        ("blocked_words", "Describe the IMAGE, please", "blocked_word"),
        ("blocked_words", "images imagery pre-image's", "blocked_word"),
        ("blocked_words", "images imagery _image_", ""),
        ("blocked_words", "Where should I Go To now", "blocked_word"),
        ("blocked_words", "undergo tooth surgery", ""),
        ("blocked_words", "Explain C++ templates", "blocked_word"),
        ("write_a_program", "write A Program in C", "write_a_program"),
        ("write_a_program", "Please write a program", ""),
        ("write_a_program_exact", "write a program in C", ""),
        ("write_a_program_exact", "Write a programme", "write_a_program"),
        ("ascii_punctuation", "(Do this", "starts_with_punctuation"),
        ("ascii_punctuation", "“Do” this", ""),
        ("ascii_punctuation", "", ""),
        ("unicode_punctuation", "“Do” this", "starts_with_punctuation"),
        ("unicode_punctuation", "→ do this", "starts_with_punctuation"),
        ("unicode_punctuation", "`do` this", "starts_with_punctuation"),
        ("unicode_punctuation", "¿Qué hora es?", ""),
        ("unicode_punctuation", "", ""),
        ("non_ascii", "Éclair", "starts_with_non_ascii"),
        ("non_ascii", "Eclair é", ""),
    ],
)
def test_filter(name: str, text: str, reason: str) -> None:
    assert failure(text, [name]) == reason


def test_other_scripts_have_words() -> None:
    chinese = "请把下面的句子翻译成英文"
    assert failure(chinese, ["length"]) == "too_short"
    assert failure(chinese, ["length"], SCRIPTS) == ""
    assert failure("翻译", ["length"], SCRIPTS) == "too_short"


def test_the_first_of_the_named_filters_gives_the_reason() -> None:
    assert failure("(image", ["ascii_punctuation", "length"]) == "starts_with_punctuation"
    assert failure("(image", ["length", "ascii_punctuation"]) == "too_short"
    assert failure("(image", []) == ""


def test_no_blocked_words() -> None:
    assert failure("an image", ["blocked_words"], PLAIN.model_copy(update={"blocked_words": ()})) == ""


def test_unknown_filter() -> None:
    with pytest.raises(UsageError, match="lenght") as caught:
        failure("text", ["lenght"])
    assert "length" in caught.value.hint


@given(any_text)
def test_every_discard_has_a_reason(text: str) -> None:
    for name in FILTERS:
        for settings in (PLAIN, SCRIPTS):
            assert failure(text, [name], settings) in ("", *REASONS)
