"""When a completion has stopped saying anything new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import RepeatRule
from studio.engine.text_stream import RepeatWatch, is_periodic

LIST = " Name a fruit.\n10. Write a poem about rain.\n11. Explain how a lock works.\n"
SUFFIX = "1. Sing a song.\n2. Count to ten.\n3. Draw a horse.\n4. Eat.\n5."
DREAMS = "".join(f"You can choose to celebrate your {what}.\n" for what in ("life", "dreams", "love", "life", "dreams", "dreams"))
"""From an output of the bundled model, which went on like this to its 350th token."""


def kept(rule: RepeatRule, text: str, suffix: str = "") -> tuple[str, bool]:
    watch = RepeatWatch(rule, suffix)
    return watch.feed(text), watch.fired


@pytest.mark.parametrize(
    "text",
    [
        LIST + "12. Sing a song.\n13. sing  a song.\n14. SING A SONG.\n",
        LIST + "12. Sing.\n\n13. Dance.\n\n14. Sing.\n\n15. Dance.\n\n16. Sing.\n",
        LIST + "- Sing\n- Sing\n- Sing\n",
        LIST + "**12.** Sing\n**13**. Sing\n(14) Sing\n",
        LIST + "12、Sing\n13．Sing\n14) Sing\n",
        LIST + "12. Name a fruit.\n13. write a poem about rain.\n14. Name a fruit.\n",
        "very " * 40,
        LIST + "x" + "Sing a long song about the sea and the wind. " * 6,
        ("0123456789" * 19 + "abcdefghij") * 5,
    ],
)
def test_lists_that_say_nothing_new(text: str) -> None:
    assert kept("items", text)[1]


def test_the_in_context_tasks_count_for_lists() -> None:
    text = " Count to ten.\n6. Sing a song.\n7. Draw a horse.\n8. Name a river.\n"
    assert kept("items", text, SUFFIX) == (" Count to ten.\n6. Sing a song.\n7. Draw a horse.\n", True)
    assert not kept("text", text, SUFFIX)[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        LIST,
        LIST + "12. Sing a song.\n13. Sing a song.\n14. Sing a song.",
        LIST + "12. Sing a song.\n13. Sing a song.\n",
        " Count to ten.\n6. Sing a song.\n7. Name a river.\n8. Draw a horse.\n9. Eat.\n",
        LIST + "12.\n13.\n14.\n15.\n",
        LIST + "\n" * 60,
        LIST + "And then....",
        LIST + "Round 1000000000000 to the next million",
        LIST + "-" * 40,
        "".join(f"{n:03}" for n in range(70)) * 4,
    ],
)
def test_lists_that_go_on(text: str) -> None:
    assert kept("items", text, SUFFIX) == (text, False)


@pytest.mark.parametrize(
    "text",
    [
        "Example 1\nInput: The Monsters, Inc.\nOutput: The Monsters, Inc.\n" + "The Monsters, Inc.\n" * 9,
        "Example 1\nInput: " + "No, " * 60,
        "1/2 cup flour, " + "1/2 cup chocolate, 1/2 cup chocolate chips, " * 6,
        "Output: " + DREAMS + DREAMS,
        "".join(f"Example {n}\nInput: How far is it to the moon?\nOutput: Not far, if you fly.\n\n" for n in range(1, 9)),
    ],
)
def test_instances_that_say_nothing_new(text: str) -> None:
    shorter, fired = kept("text", text)
    assert fired and text.startswith(shorter) and len(shorter) < len(text)


@pytest.mark.parametrize(
    "text",
    [
        "Output:\n" + "".join(f"{n % 3}\n" for n in (5, 9, 2, 4, 7, 3, 8, 6, 1, 0, 11, 23, 31, 17, 29, 41, 50)),
        "Output:\nRow, row, row your boat\nGently down the stream\nRow, row, row your boat\nGently down the stream\nLife is but a dream\n",
        "Output: " + DREAMS,
        "".join(f"Output: 2018-01-{day:02}\n" for day in range(1, 29)),
        "".join(f"Example {n}\nInput: Number {n}\nOutput: yes\n" for n in range(1, 6)),
        "Output:\n| a | b |\n|" + "-" * 30 + "|\n",
    ],
)
def test_instances_that_repeat_lines_for_good_reason(text: str) -> None:
    assert kept("text", text) == (text, False)


def test_equal_blocks_are_kept_up_to_the_fifth_line_that_repeats() -> None:
    block = "Input: How far is it to the moon?\nOutput: Not far, if you fly.\n"
    shorter, fired = kept("text", "".join(f"Example {n}\n{block}" for n in range(1, 9)))
    assert fired
    assert shorter == "".join(f"Example {n}\n{block}" for n in range(1, 4)) + "Example 4\nInput: How far is it to the moon?\n"


@given(st.text(st.sampled_from("ab1. \n"), max_size=300), st.sampled_from(["items", "text"]), st.data())
def test_the_end_does_not_depend_on_the_pieces(text: str, rule: RepeatRule, data: st.DataObject) -> None:
    whole, fired = kept(rule, text, SUFFIX)
    watch = RepeatWatch(rule, SUFFIX)
    pieces, rest = [], text
    while rest and not watch.fired:
        size = data.draw(st.integers(1, 40))
        pieces.append(watch.feed(rest[:size]))
        rest = rest[size:]
    assert ("".join(pieces), watch.fired) == (whole, fired)
    assert text.startswith(whole) and (fired or whole == text)


@given(st.text(max_size=200))
def test_without_a_rule_nothing_ends(text: str) -> None:
    assert kept("", text * 9) == (text * 9, False)


def plainly_periodic(text: str) -> bool:
    """The rule as the docstring has it, every period tried."""
    for period in range(1, 201):
        length = max(4 * period, 80)
        if length <= len(text) and text[-length:][period:] == text[-length:][:-period]:
            return True
    return False


@given(st.text(st.sampled_from("ab"), max_size=6), st.text(st.sampled_from("ab"), min_size=1, max_size=230), st.integers(1, 90))
def test_periods(before: str, unit: str, copies: int) -> None:
    text = (before + unit * copies)[:1200]
    assert is_periodic(text) is plainly_periodic(text)


@given(st.text(min_size=1, max_size=200), st.text(max_size=100))
def test_anything_repeated_often_enough_is_found(unit: str, before: str) -> None:
    assert is_periodic(before + unit * max(4, -(-80 // len(unit))))
