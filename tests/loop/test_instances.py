"""How completions fall apart into instances."""

from __future__ import annotations

import pytest
from hypothesis import given

from loop.nasty import any_text
from studio.loop.parsing import parse_input_first, parse_output_first
from studio.records import Instance


def test_numbered_examples() -> None:
    text = "Example 1\nInput: Wet paint\nOutput: Frisch gestrichen\n\nExample 2\nInput: Exit\nOutput: Ausgang\n"
    assert parse_input_first(text) == [Instance("Wet paint", "Frisch gestrichen"), Instance("Exit", "Ausgang")]


def test_one_pair_without_example() -> None:
    assert parse_input_first("Output: Yes.\nIt is.") == [Instance("", "Yes.\nIt is.")]
    assert parse_input_first("A text.\nOutput 1 : Yes.\nInput 2: B\nOutput 2: No.") == [Instance("A text.", "Yes.")]


def test_no_marker_no_instance() -> None:
    assert parse_input_first("Just text with output: and input") == []
    assert parse_input_first("") == []


def test_an_example_without_output_marker_is_all_output() -> None:
    assert parse_input_first("Example 1\nThe whole text") == [Instance("", "The whole text")]


def test_markers_within_sentences_part_nothing_when_they_must_begin_a_line() -> None:
    text = "Example 1\nInput: For Example, the Output: of a pump\nOutput: An Example sentence. Input: none\nExample 2.\nOutput: x"
    assert parse_input_first(text, line_markers=True) == [
        Instance("For Example, the Output: of a pump", "An Example sentence. Input: none"),
        Instance("", "x"),
    ]
    assert len(parse_input_first(text)) > 2


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Example 1\nInput：七号\nOutput：走了。\nExample 2\nInput：三号\nOutput：在等。\n", [("七号", "走了。"), ("三号", "在等。")]),
        ("**Example 1**\n**Input:** a\n**Output:** b\n\n### Example 2:\n**Input**: c\n- Output: d", [("a", "b"), ("c", "d")]),
        ("input: a\noutput: b", [("a", "b")]),
        ("Input: a\nAnswer: b", [("a", "b")]),
        ("Input: a\nOutput: b\nInput: c\nOutput: d", [("a", "b"), ("c", "d")]),
        ("Example 1: Input: a\nOutput: b", [("a", "b")]),
        ("Example 1\r\nInput: a\r\nOutput: b\r\nExample 2\r\nInput: c\r\nOutput: d\r\n", [("a", "b"), ("c", "d")]),
        ("Sure!\nExample 1\nInput: a\nOutput: b", [("a", "b")]),
        ("Example 1\nInput: a\nOutput: b\nExample 2\nInput: c", [("a", "b"), ("c", "")]),
        # Marks that are part of a text.
        ("Output: yaml\ninput: a\noutput: b", [("", "yaml\ninput: a\noutput: b")]),
        ("Output:\n```\nOutput: x\nExample 2\n```\nafter", [("", "```\nOutput: x\nExample 2\n```\nafter")]),
        ("Output: See Example 6 and Task: foo", [("", "See Example 6 and Task: foo")]),
        ("Input: To-do list\nTask: buy milk\nOutput: Done", [("To-do list\nTask: buy milk", "Done")]),
        ("Output: To-do list\nTask: buy milk\nTask: call mum", [("", "To-do list\nTask: buy milk\nTask: call mum")]),
        # What the model went on with.
        ("Output: a\n\nTask: Name a fruit.\nOutput: Apple", [("", "a")]),
        ("Output: a\nTask: Name a fruit.\nOutput: Apple", [("", "a")]),
        ("Task: Name a fruit.\nOutput: Apple", []),
        ("Just text", []),
    ],
)
def test_pairs_in_other_forms(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_input_first(text, tolerant=True) == [Instance(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Class label：red\nA tomato.\nClass label：green\nA lime.", [("A tomato.", "red"), ("A lime.", "green")]),
        ("**Class label:** red\nInput: A tomato.\n**Class label**: green\nLime", [("A tomato.", "red"), ("Lime", "green")]),
        ("class label: red\nA tomato.", [("A tomato.", "red")]),
        ("Class label: a\nThe Class label: field is empty.\nClass label: b", [("The Class label: field is empty.", "a"), ("", "b")]),
        ("Class label: a\n```\nClass label: x\n```\nClass label: b", [("```\nClass label: x\n```", "a"), ("", "b")]),
        ("Class label: a\nx\n\nTask: Other\nClass label: c", [("x", "a")]),
        ("It is a Class label: bird", []),
    ],
)
def test_labels_in_other_forms(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_output_first(text, tolerant=True) == [Instance(*pair) for pair in pairs]


def test_labels_first() -> None:
    text = "x Class label: bird\nIt has feathers.\nIt sings.\nClass label:  mammal \nClass label:\n"
    assert parse_output_first(text) == [Instance("It has feathers.\nIt sings.", "bird"), Instance("", "mammal"), Instance("", "")]
    assert parse_output_first("class label: bird") == []


@given(any_text)
def test_no_text_makes_a_parser_raise(text: str) -> None:
    tolerant = parse_input_first(text, tolerant=True), parse_output_first(text, tolerant=True)
    for instances in (*tolerant, parse_input_first(text), parse_input_first(text, line_markers=True), parse_output_first(text)):
        for instance in instances:
            assert instance.input == instance.input.strip()
            assert instance.output == instance.output.strip()


@pytest.mark.parametrize(
    "filler",
    [
        " ",
        "\n",
        "1",
        "Output ",
        "Output 1\n",
        "Input",
        "Example",
        "Example 1\n",
        "Output:",
        "Class label:",
        "\t\n",
        "\nTask:",
        "\nTask: x\nOutput: y",
    ],
)
@pytest.mark.parametrize("lead", ["", "Output", "Output:Input", "Example"])
def test_long_texts_stay_affordable(lead: str, filler: str) -> None:
    # Patterns that give back would need some 10^10 steps here.
    text = f"{lead}{(filler * 200_000)[:200_000]}x"
    assert len(parse_input_first(text)) <= 200_001
    assert len(parse_input_first(text, line_markers=True)) <= 200_001
    assert len(parse_output_first(text)) <= 200_000
    assert len(parse_input_first(text, tolerant=True)) <= 200_001
    assert len(parse_output_first(text, tolerant=True)) <= 200_001
