"""Prompts: templates from text files, and the numbered lists that fill them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from studio.errors import UsageError
from studio.records import Task

PLACEHOLDERS = {
    "instructions": "{tasks}",
    "instructions_classification": "{tasks}",
    "classification": "{instruction}",
    "input_first": "{instruction}",
    "output_first": "{instruction}",
    "triples": "{tasks}",
    "list_chat": "{tasks}",
    "list_begun": "",
    "template_system": "",
    "template_tasks": "{tasks}",
    "openings": "",
    "answer_system": "",
    "answer_again": "{task}",
    "brief": "{brief}",
    "backtranslation": "{passage}",
    "backtranslation_chat": "{passage}",
    "backtranslation_begun": "{passage}",
    "backtranslation_openings": "",
    "question": "{passage}",
    "question_chat": "{passage}",
    "question_begun": "{passage}",
    "question_openings": "",
    "passage_system": "",
}
"""The prompts of the method and the one placeholder that each text must have exactly once, or none."""


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt text around its placeholder. `prefix` is the same for every request of a stage."""

    prefix: str
    ending: str

    @classmethod
    def parse(cls, name: str, text: str) -> Template:
        """Split `text` at its placeholder; one newline at the end of the text is the file's, not the prompt's.

        Raises UsageError when the placeholder does not stand in the text exactly once.
        """
        placeholder = PLACEHOLDERS[name]
        if not placeholder:
            return cls(text.removesuffix("\n"), "")
        parts = text.removesuffix("\n").split(placeholder)
        if len(parts) != 2:
            raise UsageError(f"prompt {name!r} has the placeholder {placeholder} {len(parts) - 1} times", "write it exactly once")
        return cls(parts[0], parts[1])

    def suffix(self, filling: str) -> str:
        """What follows the prefix when the placeholder is filled with `filling`."""
        return filling + self.ending

    def filled(self, filling: str) -> str:
        """The whole text when the placeholder is filled with `filling`."""
        return self.prefix + self.suffix(filling)


def builtin_prompt(name: str) -> str:
    """Return the text of the prompt `name` that comes with the studio."""
    return (files("studio.loop") / "prompts" / f"{name}.txt").read_text(encoding="utf-8")


def one_line(instruction: str) -> str:
    """White space collapsed and a trailing colon stripped: how an instruction stands in a prompt."""
    return re.sub(r"\s+", " ", instruction).strip().rstrip(":")


def numbered(instructions: Sequence[str]) -> str:
    """The list `1. ...` to `n. ...`, ending in the number the model goes on from.

    >>> numbered(["Name a prime number."])
    '1. Name a prime number.\\n2.'
    """
    lines = numbered_lines(instructions)
    return f"{lines}\n{len(instructions) + 1}." if lines else "1."


def numbered_lines(instructions: Sequence[str]) -> str:
    """The list `1. ...` to `n. ...`, one a line."""
    return "\n".join(f"{number}. {one_line(instruction)}" for number, instruction in enumerate(instructions, 1))


def numbered_triples(tasks: Sequence[Task]) -> str:
    """The numbered (instruction, input, output) triples of Alpaca's variant, each task by its first instance, up to the next number."""
    blocks = []
    for number, task in enumerate(tasks, 1):
        instance = task.instances[0]
        blocks.append(
            f"###\n{number}. Instruction: {one_line(task.instruction)}\n"
            f"{number}. Input:\n{instance.input or '<noinput>'}\n"
            f"{number}. Output:\n{instance.output}\n"
        )
    return "".join(blocks) + f"###\n{len(blocks) + 1}. Instruction:"
