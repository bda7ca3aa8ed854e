"""The one boundary between what others wrote and a terminal."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from studio.text import display, display_json, display_line, storable

any_text = st.text(st.characters(codec=None))


def test_sequences_that_act_on_terminals_become_visible() -> None:
    assert display("a\x1b]52;c;aGk=\x07b") == "a␛]52;c;aGk=␇b"
    assert display("\x9b31m\x7f\r\n") == "<9B>31m␡␍\n"
    assert display("safe\u202etxt.exe\u200b\ufeff") == "safe<U+202E>txt.exe<U+200B><U+FEFF>"
    assert display("\ud800") == "\ufffd"


def test_scripts_keep_their_joiners_and_their_letters() -> None:
    text = "می\u200cخواهم 👩\u200d🚀 naïve 日本語 [INST] [/b]"
    assert display(text) == text


@given(any_text)
def test_nothing_that_controls_a_terminal_gets_through(text: str) -> None:
    for character in display(text):
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in ("RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI")


@given(any_text, st.booleans())
def test_json_means_the_same_and_does_nothing_to_a_terminal(text: str, ascii_only: bool) -> None:
    shown = display_json(json.dumps([text], ensure_ascii=ascii_only))
    assert shown == display(shown)
    assert json.loads(shown) == json.loads(json.dumps([text]))


@given(any_text, any_text)
def test_a_sequence_in_two_pieces_is_as_harmless(left: str, right: str) -> None:
    assert display(left) + display(right) == display(left + right)


@given(any_text, st.integers(1, 50))
def test_lines_are_single_and_fit(text: str, width: int) -> None:
    line = display_line(text, width)
    assert "\n" not in line and len(line) <= width


@given(any_text)
def test_storable_text_can_be_encoded(text: str) -> None:
    stored = storable(text)
    stored.encode("utf-8")
    assert len(stored) == len(text)
    assert all(a == b or 0xD800 <= ord(a) < 0xE000 for a, b in zip(text, stored, strict=True))
