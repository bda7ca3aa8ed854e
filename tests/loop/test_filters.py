"""Each heuristic filter, its borders and its reason code."""

from __future__ import annotations

import pytest
from hypothesis import given

from loop.nasty import any_text
from studio.errors import UsageError
from studio.loop.filters import FILTERS, REASONS, FilterSettings, first_failure
from studio.loop.tokens import TOKENIZERS

WORDS = ("image", "go to", "C++")
PLAIN = FilterSettings(4, 150, WORDS, str.split)
SCRIPTS = FilterSettings(4, 150, WORDS, TOKENIZERS["unicode"])


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
    assert first_failure(text, [name], PLAIN) == reason


def test_other_scripts_have_words() -> None:
    chinese = "请把下面的句子翻译成英文"
    assert first_failure(chinese, ["length"], PLAIN) == "too_short"
    assert first_failure(chinese, ["length"], SCRIPTS) == ""
    assert first_failure("翻译", ["length"], SCRIPTS) == "too_short"


def test_the_first_of_the_named_filters_gives_the_reason() -> None:
    assert first_failure("(image", ["ascii_punctuation", "length"], PLAIN) == "starts_with_punctuation"
    assert first_failure("(image", ["length", "ascii_punctuation"], PLAIN) == "too_short"
    assert first_failure("(image", [], PLAIN) == ""


def test_no_blocked_words() -> None:
    assert first_failure("an image", ["blocked_words"], FilterSettings(0, 9, (), str.split)) == ""


def test_unknown_filter() -> None:
    with pytest.raises(UsageError, match="lenght") as caught:
        first_failure("text", ["lenght"], PLAIN)
    assert "length" in caught.value.hint


@given(any_text)
def test_every_discard_has_a_reason(text: str) -> None:
    for name in FILTERS:
        for settings in (PLAIN, SCRIPTS):
            assert first_failure(text, [name], settings) in ("", *REASONS)
