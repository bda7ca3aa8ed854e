"""How a task is put to a model."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from studio.pool.exchange.formats import PROMPT_COMPLETION
from studio.pool.stream import ExportTask
from studio.records import Instance, Origin
from studio.tuning.prompt_format import ALPACA, PLAIN, chat_format


@given(st.text(min_size=1), st.text())
def test_plain_is_the_prompt_of_the_prompt_completion_export(instruction: str, given_input: str) -> None:
    task = ExportTask(1, Origin.SEED, "", "", instruction, False, (Instance(given_input, "out"),))
    [(_, record)] = PROMPT_COMPLETION.records(task)
    assert PLAIN.prompt(instruction, given_input) == record["prompt"]


def test_fields_in_a_text_are_text() -> None:
    assert PLAIN.prompt("Explain {input} and {0}.", "{instruction}") == "Explain {input} and {0}.\n\n{instruction}\n\nOutput:"


def test_the_fixed_template_knows_tasks_without_input() -> None:
    assert "### Input:\nred\n\n### Response:" in ALPACA.prompt("Name a fruit of this colour.", "red")
    assert "### Input" not in ALPACA.prompt("Name a fruit.", " \n")


def test_the_template_says_all_that_makes_a_prompt() -> None:
    one, other = chat_format("<user>", "<answer>"), chat_format("<user>", "<Answer>")
    assert one.template != other.template
    assert json.loads(one.template)["opening"] == "<user>"
    assert one.prompt("Add.", "1 2") == "Add.\n\n1 2"
