"""How a task is put to a model.

Chat templates come in strangers' files: what they may do, and what becomes of those that do anything else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.catalog import bundled_model
from studio.engine.gguf import Gguf, read_gguf, text_at
from studio.errors import ModelError
from studio.pool.exchange.formats import PROMPT_COMPLETION
from studio.pool.stream import ExportTask
from studio.records import Instance, Origin
from studio.tuning.prompt_format import ALPACA, KEY, PLAIN, after_the_answer, around_the_prompt, chat_format, has_chat_template


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


CHATML = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|a|>{% endif %}"
)


def _header(template: str) -> Gguf:
    return Gguf(Path("model.gguf"), 3, {KEY: template} if template else {}, {}, 1, 1)


def test_what_stands_around_the_prompt() -> None:
    assert around_the_prompt(_header(CHATML)) == ("<|user|>", "<|end|>\n<|a|>")


def test_what_stands_behind_an_answer() -> None:
    assert after_the_answer(_header(CHATML)) == "<|end|>\n"
    assert after_the_answer(_header("{{ messages[0].content }}")) == ""
    assert after_the_answer(_header("{{ raise_exception('no answers') if messages[1] }}")) == ""


def test_loop_controls_and_namespaces_work_as_the_models_tools_have_them() -> None:
    template = "{% set ns = namespace(n=2 * 3) %}{% for m in messages %}{{ ns.n }}{{ m.content }}{% break %}{% endfor %}"
    assert around_the_prompt(_header(template)) == ("6", "")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", "has no chat template"),
        ("{% for %}", "cannot be used"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0].content }}", "cannot be used"),
        ("{{ messages.append(1) }}{{ messages[0].content }}", "cannot be used"),
        ("{{ 'a' * 999999999999 }}{{ messages[0].content }}", "cannot be used"),
        ("{{ 9 ** 99999999 }}{{ messages[0].content }}", "cannot be used"),
        ("{% for i in range(99999) %}too much text {% endfor %}{{ messages[0].content }}", "more than"),
        ("{% include '/etc/passwd' %}{{ messages[0].content }}", "cannot be used"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "cannot be used"),
        ("{{ raise_exception('only for a system') }}", "only for a system"),
        ("{{ 1 // 0 }}", "cannot be used"),
        ("a fixed text", "0 times"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "2 times"),
        ("{{ messages[0].content | upper }}", "0 times"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_way_out(template: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        around_the_prompt(_header(template))
    assert "plain" in caught.value.hint


def test_the_bundled_models_template_and_control_words() -> None:
    path = bundled_model()
    assert path is not None
    header = read_gguf(path)
    assert has_chat_template(header)
    before, after = around_the_prompt(header)
    assert before.endswith("<|im_start|>user\n")
    assert after == "<|im_end|>\n<|im_start|>assistant\n"
    assert text_at(header, "tokenizer.ggml.tokens", 1) == "<|im_start|>"
    assert text_at(header, "tokenizer.ggml.tokens", 10**9) == text_at(header, "nothing", 0) == ""
    spelt = replace(header, metadata={**header.metadata, KEY: "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"})
    assert around_the_prompt(spelt) == ("<|im_start|>", "<|im_end|>")
    assert around_the_prompt(spelt, bos=False) == ("", "<|im_end|>")
