"""Lists in every form that models give them fall apart into the same items."""

from __future__ import annotations

from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.nasty import any_text
from studio.loop.lists import Items, split_list, without_code
from studio.loop.parsing import parse_instructions

ITEMS = ("Describe the lighthouse briefly.", "Compare winter apples calmly.", "List copper kettles in rhyme.", "Name a desert railway.")

FORMS = (
    *("{}. ", "{}) ", "{}.", "{}、", "{}．", "{}: ", "{}：", "{} - ", "{} – ", "{} . ", "{}.) ", "{}） "),
    *("**{}.** ", "**{}**. ", "**{}) ", "__{}.__ ", "*{}.* ", "({}) ", "[{}] ", "（{}）", "#{} ", "#{}. ", "№{} ", "No. {}: "),
    *("Task {}: ", "Instruction {}: ", "**Task {}:** ", "Task {}\n", "### {}. ", "> {}. ", "- {}. ", " {}. ", "   {}) ", "{}\ufe0f\u20e3 "),
)


def listed(form: str, numbers: list[str], gap: str = "\n") -> str:
    """What a model goes on with after `9.`: the first item without a number."""
    return f" {ITEMS[0]}" + "".join(f"{gap}{form.format(number)}{item}" for number, item in zip(numbers, ITEMS[1:], strict=False))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("first", [10, 1, 2])
def test_every_form_of_number(form: str, first: int) -> None:
    numbers = [str(first + place) for place in range(3)]
    assert split_list(listed(form, numbers), 9) == Items(ITEMS)
    assert split_list(listed(form, numbers, "\n\n"), 9) == Items(ITEMS)


@pytest.mark.parametrize("form", FORMS)
def test_a_single_number_that_goes_on_and_a_number_that_is_said_again(form: str) -> None:
    assert split_list(listed(form, ["10"]), 9) == Items(ITEMS[:2])
    assert split_list(f"\n{form.format(9)}{ITEMS[0]}\n{form.format(10)}{ITEMS[1]}", 9) == Items(ITEMS[:2])


@pytest.mark.parametrize(
    ("form", "numerals"),
    [
        ("{}. ", "X XI XII"),
        ("{}) ", "I II III"),
        ("{}、", "十 十一 十二"),
        ("{}、", "一 二 三"),
        ("{} ", "⑩ ⑪ ⑫"),
        ("{}. ", "١٠ ١١ ١٢"),
        ("{}) ", "१० ११ १२"),
        ("{}．", "１０ １１ １２"),
    ],
)
def test_other_numerals(form: str, numerals: str) -> None:
    assert split_list(listed(form, numerals.split()), 9) == Items(ITEMS)


@pytest.mark.parametrize("bullet", ["- ", "* ", "• ", "+ ", "– "])
def test_bullets(bullet: str) -> None:
    assert split_list(listed(bullet, [""] * 3), 9) == Items(ITEMS)
    assert split_list("".join(f"\n{bullet}{item}" for item in ITEMS), 9) == Items(ITEMS)


@pytest.mark.parametrize("around", ["**{}**", '"{}"', "“{}”", "*{}*", "「{}」", "Task: {}", "**Task:** {}", '**"{}"**'])
def test_what_is_around_an_item_is_no_part_of_it(around: str) -> None:
    text = listed("{}. ", ["10", "11", "12"])
    for item in ITEMS:
        text = text.replace(item, around.format(item))
    assert split_list(text, 9) == Items(ITEMS)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        # Several lines, bullets and numbers that belong to an item.
        (" Read this.\nTom went.\n10. Sort these:\n- one\n- two\n11. Stop.", ["Read this. Tom went.", "Sort these: - one - two", "Stop."]),
        (" Rank these colours for me:\n1. red\n2. blue\n10. Go on.", ["Rank these colours for me: 1. red 2. blue", "Go on."]),
        (" Rank these colours for me:\n1) red\n2) blue\n3) green", ["Rank these colours for me: 1) red 2) blue 3) green"]),
        (" Rank these colours for me:\n- red\n- blue", ["Rank these colours for me: - red - blue"]),
        # Numbers that are no marks.
        (" In the year\n10 people met at\n10:30 and drank 10.5 litres.", ["In the year 10 people met at 10:30 and drank 10.5 litres."]),
        (" Tell what happened then\n1990: a war\n1991: a peace", ["Tell what happened then 1990: a war 1991: a peace"]),
        (" Solve these now\n10 - 5 = ?\n11 - 3 = ?", ["Solve these now 10 - 5 = ? 11 - 3 = ?"]),
        (" Name the point\nx: 5\ny: 6\ni) left\nii) right", ["Name the point x: 5 y: 6 i) left ii) right"]),
        (" __init__ is what?\n10) Go on.", ["__init__ is what?", "Go on."]),
        (" Explain 2**10 now.\n10) Add 3**2.", ["Explain 2**10 now.", "Add 3**2."]),
        # Code is part of its item.
        (" What does it print?\n```\n10. x\n11) y\n```\n10) Go on.", ["What does it print? ``` 10. x 11) y ```", "Go on."]),
        # A fence that nobody closes hides nothing.
        (" What does it print?\n```\nx\n10) Go on.", ["What does it print? ``` x", "Go on."]),
        # Emphasis of a title, opened before the number or behind it.
        (" **Title**: Do it.\n**10. Other**: Do that.", ["Title: Do it.", "Other: Do that."]),
        # No line breaks left.
        (" Describe it. 10. Compare it. 11. List it.", ["Describe it.", "Compare it.", "List it."]),
        (' "A" and "B"', ['"A" and "B"']),
    ],
)  # fmt: skip
def test_what_belongs_to_an_item(text: str, items: list[str]) -> None:
    assert split_list(text, 9) == Items(tuple(items))


def discards(text: str) -> list[str]:
    found = parse_instructions(text, truncated=False, keep_complete=True, capitalize=False, first_number=9)
    return [each.discard for each in found]


def test_what_is_no_item_has_a_reason_of_its_own() -> None:
    for introduction in ("Here are more tasks:", "Sure! Here are more tasks for you:", "Certainly!"):
        for numbers in ("9. ", "10. "), ("1. ", "2. "), ("1) ", "2) "), ("- ", "- "):
            text = introduction + "".join(f"\n{number}{item}" for number, item in zip(numbers, ITEMS, strict=False))
            assert discards(text) == ["preamble", "", ""]
    assert discards(f" {ITEMS[0]}\n9. {ITEMS[1]}\n10. {ITEMS[2]}") == ["", "", ""]
    assert discards(f" {ITEMS[0]}\n{ITEMS[1]}\n{ITEMS[2]}") == ["unmarked"]
    assert discards(" Read this.\nTom went home.") == [""]


words = st.lists(st.text(ascii_lowercase, min_size=2, max_size=8), min_size=4, max_size=7).map(" ".join)
sentences = st.builds(lambda text, end: text.capitalize() + end, words, st.sampled_from(".?"))


@given(st.lists(sentences, min_size=1, max_size=8), st.integers(1, 40))
def test_a_list_in_the_released_form_falls_apart_as_it_always_did(items: list[str], first: int) -> None:
    text = " " + "".join(f"\n{number}. {item}" for number, item in enumerate(items, first)).removeprefix(f"\n{first}. ")
    strict = parse_instructions(text, truncated=False, keep_complete=True, capitalize=False)
    assert parse_instructions(text, truncated=False, keep_complete=True, capitalize=False, first_number=first) == strict


@given(any_text, st.integers(1, 20))
def test_all_words_of_a_text_are_in_its_items_or_marks(text: str, first: int) -> None:
    found = split_list(text, first)
    assert found.texts
    assert all("\n" not in item and item == item.strip() for item in found.texts)
    kept = "".join(found.texts)
    assert not set(kept) - set(text) - {" "}


@given(st.lists(st.sampled_from(["a\n", "```\n", "```py\n", "~~~\n", "x ```\n", "\n", "1. b\n"]), max_size=12).map("".join))
def test_places_stay_where_code_is_hidden(text: str) -> None:
    hidden = without_code(text)
    assert len(hidden) == len(text)
    assert all(new in (old, "x") for old, new in zip(text, hidden, strict=True))


@pytest.mark.parametrize(
    "piece", ["\n", "\n1", "\n- ", "```\n", "```x\n", "\n(1", "\n**1", "\n10)", "\n1. a", "\n1) x", "“", " 10. a", "\nX", "\n# 1"]
)
def test_long_texts_stay_affordable(piece: str) -> None:
    # What takes the square of a text's length would not come back from this.
    assert split_list((piece * 100_000)[:200_000], 9).texts
