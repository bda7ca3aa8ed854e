"""How completions fall apart into instances."""

from __future__ import annotations

import pytest
from hypothesis import given

from loop.nasty import any_text
from studio.loop.instances import parse_input_first, parse_output_first
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


def test_labels_first() -> None:
    text = "x Class label: bird\nIt has feathers.\nIt sings.\nClass label:  mammal \nClass label:\n"
    assert parse_output_first(text) == [Instance("It has feathers.\nIt sings.", "bird"), Instance("", "mammal"), Instance("", "")]
    assert parse_output_first("class label: bird") == []


@given(any_text)
def test_no_text_makes_a_parser_raise(text: str) -> None:
    for instances in (parse_input_first(text), parse_input_first(text, line_markers=True), parse_output_first(text)):
        for instance in instances:
            assert instance.input == instance.input.strip()
            assert instance.output == instance.output.strip()


@pytest.mark.parametrize(
    "filler", [" ", "\n", "1", "Output ", "Output 1\n", "Input", "Example", "Example 1\n", "Output:", "Class label:", "\t\n"]
)
@pytest.mark.parametrize("lead", ["", "Output", "Output:Input", "Example"])
def test_long_texts_stay_affordable(lead: str, filler: str) -> None:
    # Patterns that give back would need some 10^10 steps here.
    text = f"{lead}{filler * 200_000}x"
    assert len(parse_input_first(text)) <= 200_001
    assert len(parse_input_first(text, line_markers=True)) <= 200_001
    assert len(parse_output_first(text)) <= 200_000
