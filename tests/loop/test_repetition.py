"""When a completion has stopped saying anything new."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.loop.repetition import repeats

LIST = " Name a fruit.\n10. Write a poem about rain.\n11. Explain how a lock works.\n"


@pytest.mark.parametrize(
    "text",
    [
        LIST + "12. Sing a song.\n13. sing  a song.\n14. SING A SONG.\n",
        LIST + "12. Sing.\n\n13. Dance.\n\n14. Sing.\n\n15. Dance.\n\n16. Sing.\n\n17. Dance.\n18",
        LIST + "- Sing\n- Sing\n- Sing\n- S",
        LIST + "12.\n13.\n14.\n15.\n",
        "very " * 40,
        "a" * 200,
        LIST + "\n" * 100,
        LIST + "x" + ("Sing a long song about the sea and the wind. " * 4),
        ("0123456789" * 19 + "abcdefghij") * 4,
    ],
)
def test_repetition(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        LIST,
        LIST + "12. Sing a song.\n13. Sing a song.\n14. Sing a song.",
        LIST + "12. Sing a song.\n13. Sing a song.\n",
        LIST + "And then....",
        LIST + "Round 1000000000000 to the next million",
        LIST + "-" * 40,
        ("0123456789" * 20 + "abcdefghij") * 4,
    ],
)
def test_no_repetition(text: str) -> None:
    assert not repeats(text)


def test_options() -> None:
    assert repeats("Sing.\nSing.\n", copies=2)
    assert not repeats("Sing.\n" * 3, copies=4)
    assert not repeats("abcdefghijk " * 20, max_period=11)


@given(st.text(min_size=1, max_size=200), st.text(max_size=100))
@settings(deadline=None)
def test_anything_repeated_often_enough_is_found(unit: str, before: str) -> None:
    assert repeats(before + unit * max(4, -(-80 // len(unit))))


@given(st.lists(st.integers(), unique=True, max_size=30), st.text(max_size=30))
def test_different_items_are_no_repetition(numbers: list[int], text: str) -> None:
    items = "".join(f"\n{place}. Do item number <{number}> of this list" for place, number in enumerate(numbers))
    assert not repeats(items + "\n")
    assert repeats(text) in (True, False)
