"""The prompts: our own texts keep to the rules of the method, and templates are split where they should be."""

from __future__ import annotations

import re

import pytest
from rouge_score import rouge_scorer

from studio.errors import UsageError
from studio.loop.parsing import parse_input_first, parse_output_first
from studio.loop.prompts import PLACEHOLDERS, Template, builtin_prompt, numbered, numbered_triples, one_line
from studio.records import Instance, Origin, Task, TaskState
from support.sessions import all_seeds


def few_shot(name: str) -> list[tuple[str, str]]:
    """The example tasks of a template: instruction and all that follows it."""
    pieces = re.split(r"^Task: ", builtin_prompt(name), flags=re.MULTILINE)[1:-1]
    return [(instruction, rest.strip()) for instruction, _, rest in (piece.partition("\n") for piece in pieces)]


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_templates_have_a_long_prefix_and_a_short_ending(name: str) -> None:
    template = Template.parse(name, builtin_prompt(name))
    text = builtin_prompt(name).removesuffix("\n")
    if not PLACEHOLDERS[name]:
        assert template == Template(text, "")
        return
    if name not in ("list_chat", "answer_again") and not name.endswith(("_chat", "_begun")):  # These are turns of a chat.
        assert template.prefix and len(template.ending) < 30
    assert template.prefix + template.suffix("X") == text.replace(PLACEHOLDERS[name], "X")


@pytest.mark.parametrize("text", ["no placeholder", "{instruction} twice {instruction}"])
def test_the_placeholder_stands_once(text: str) -> None:
    with pytest.raises(UsageError, match="placeholder"):
        Template.parse("classification", text)


def test_braces_in_a_prompt_are_just_text() -> None:
    assert Template.parse("classification", 'f(x) = {x}: {instruction} {"a": 1}').suffix("{}") == '{} {"a": 1}'


def test_numbered_list() -> None:
    assert numbered(["Name  a\nprime:", "Add."]) == "1. Name a prime\n2. Add.\n3."
    assert one_line(" a\t b: ") == "a b"


def test_numbered_triples() -> None:
    tasks = [
        Task(1, Origin.SEED, TaskState.ACTIVE, "", "Say hello", False, (Instance("", "Hello."),)),
        Task(2, Origin.SEED, TaskState.ACTIVE, "", "Add", False, (Instance("1, 2", "3"),)),
    ]
    assert numbered_triples(tasks) == (
        "###\n1. Instruction: Say hello\n1. Input:\n<noinput>\n1. Output:\nHello.\n"
        "###\n2. Instruction: Add\n2. Input:\n1, 2\n2. Output:\n3\n###\n3. Instruction:"
    )


def test_classification_examples() -> None:
    answers = [rest for _, rest in few_shot("classification")]
    assert answers.count("Is it classification? Yes") == 12
    assert answers.count("Is it classification? No") == 19


@pytest.mark.parametrize("line_markers", [True, False])
def test_input_first_examples(line_markers: bool) -> None:
    parsed = [parse_input_first(rest, line_markers=line_markers) for _, rest in few_shot("input_first")]
    assert len(parsed) >= 11
    assert sum(len(instances) > 1 for instances in parsed) >= 5
    assert sum(instances[0].input == "" for instances in parsed) >= 3
    assert all(instance.output and "Example" not in instance.output for instances in parsed for instance in instances)


def test_output_first_examples() -> None:
    parsed = [parse_output_first(rest) for _, rest in few_shot("output_first")]
    assert len(parsed) >= 16
    assert all(instances and all(instance.output for instance in instances) for instances in parsed)


def test_no_example_is_a_seed_task() -> None:
    """The few-shot tasks are not what the novelty filter later compares with."""
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    seeds = [seed.instruction for seed in all_seeds()]
    for name in ("classification", "input_first", "output_first"):
        for instruction, _ in few_shot(name):
            assert max(scorer.score(seed, instruction)["rougeL"].fmeasure for seed in seeds) < 0.7
