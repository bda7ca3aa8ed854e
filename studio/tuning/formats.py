"""How an instance becomes a prompt and a completion.

`varied` is the method's own: one of seven formats for an instance with an input and one of six without, drawn for each instance, so that
the tuned model does not depend on one wording (Wang et al. 2022, section 2.3). The others are fixed templates.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studio.errors import UsageError, nearest_name
from studio.pool.formats import prompt_completion
from studio.pool.formats.api import question
from studio.records import Instance
from studio.tuning.chat import ChatTemplate

WITH_INPUT = (
    "{instruction}\nInput: {input}\nOutput:",
    "{instruction}\n\nInput: {input}\n\nOutput:",
    "Task: {instruction}\nInput: {input}\nOutput:",
    "{instruction}\n\n{input}\n\nOutput:",
    "{instruction}\n\n{input}\n\n",
    "{instruction}\n{input}\n\n",
    "Task: {instruction}\n\n{input}\n\n",
)
WITHOUT_INPUT = (
    "{instruction} Output:",
    "{instruction}\nOutput:",
    "{instruction}\n\nOutput:",
    "{instruction}\n",
    "{instruction}\n\n",
    "Task: {instruction}\n\n",
)
_FIELD = re.compile(r"(\w+):")

_PREAMBLE = "Below is an instruction that describes a task"
_ALPACA_WITH_INPUT = (
    f"{_PREAMBLE}, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
_ALPACA_WITHOUT_INPUT = (
    f"{_PREAMBLE}. Write a response that appropriately completes the request.\n\n### Instruction:\n{{instruction}}\n\n### Response:\n"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A prompt and its completion. For a chat template `parts` are what the prompt is made of: control text, user's text, control text."""

    prompt: str
    completion: str
    parts: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """A way to write instances. `write` gets instruction, instance, the instance's own random numbers and the model's template."""

    name: str
    summary: str
    write: Callable[[str, Instance, random.Random, ChatTemplate | None], Written]


def _varied(instruction: str, instance: Instance, rng: random.Random, _template: ChatTemplate | None) -> Written:
    given = instance.input.strip()
    if given and rng.random() < 0.5:
        given = _plainer(given)
    pattern = rng.choice(WITH_INPUT) if given else rng.choice(WITHOUT_INPUT)
    return _filled(pattern, instruction, given, instance.output)


def _plainer(given: str) -> str:
    """Return an input without the name of its only field, and without blank lines."""
    if len(set(_FIELD.findall(given))) == 1:
        given = _FIELD.sub("", given, count=1).strip()
    return given.replace("\n\n", "\n")


def _alpaca(instruction: str, instance: Instance, _rng: random.Random, _template: ChatTemplate | None) -> Written:
    given = instance.input.strip()
    return _filled(_ALPACA_WITH_INPUT if given else _ALPACA_WITHOUT_INPUT, instruction, given, instance.output)


def _filled(pattern: str, instruction: str, given: str, output: str) -> Written:
    prompt = pattern.format(instruction=instruction.strip(), input=given)
    # After a cue the answer follows on the same line, elsewhere it begins one.
    return Written(prompt, output.strip() if prompt.endswith("\n") else f" {output.strip()}")


def _plain(instruction: str, instance: Instance, _rng: random.Random, _template: ChatTemplate | None) -> Written:
    record = prompt_completion.record(instruction, instance)
    return Written(str(record["prompt"]), str(record["completion"]))


def _chat(instruction: str, instance: Instance, _rng: random.Random, template: ChatTemplate | None) -> Written:
    if template is None:
        raise UsageError("this model has no chat template", "choose another --format")
    before, after = template.around()
    content = question(instruction.strip(), Instance(instance.input.strip(), ""))
    return Written(before + content + after, instance.output.strip(), (before, content, after))


FORMATS: Mapping[str, PromptFormat] = {
    each.name: each
    for each in (
        PromptFormat("varied", "the method's: one of thirteen, drawn for each instance", _varied),
        PromptFormat("plain", "one of them for all: instruction, input, Output:", _plain),
        PromptFormat("alpaca", "Stanford Alpaca's template", _alpaca),
        PromptFormat("chat", "the model's own chat template", _chat),
    )
}


def find_format(name: str) -> PromptFormat:
    """Return the format called `name`. Raises UsageError with the nearest name."""
    if name not in FORMATS:
        raise UsageError(f"unknown prompt format {name!r}", nearest_name(name, FORMATS))
    return FORMATS[name]


def write(name: str, instruction: str, instance: Instance, key: str, template: ChatTemplate | None = None) -> Written:
    """Return how the format `name` writes an instance. Equal `key`s draw equally: the seed and what identifies the instance.

    Raises UsageError for an unknown format, and for `chat` without a template.
    """
    return find_format(name).write(instruction, instance, random.Random(key), template)
