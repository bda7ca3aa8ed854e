"""Prompts: templates from text files, and the numbered lists that fill them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from studio.config import Parameters
from studio.errors import UsageError
from studio.records import Task

OfTasks = Annotated[str, "{tasks}"]
OfInstruction = Annotated[str, "{instruction}"]
OfTask = Annotated[str, "{task}"]
OfBrief = Annotated[str, "{brief}"]
OfPassage = Annotated[str, "{passage}"]


class Prompts(Parameters):
    """The prompt texts themselves, so that a pool can go on without the files they came from.

    The type of each says which placeholder its text must have, exactly once; `str` is none.
    """

    instructions: OfTasks
    instructions_classification: OfTasks
    classification: OfInstruction
    input_first: OfInstruction
    output_first: OfInstruction
    triples: OfTasks
    list_chat: OfTasks = Field("", description="the user's turn that asks to go on with a list of tasks")
    list_begun: str = Field("", description="the same where the model's turn can be begun with that list")
    template_system: str = Field("", description="the system turn before the user's turn that the model writes; empty is none")
    template_tasks: OfTasks = Field("", description="what that system turn says of the in-context tasks in it")
    openings: str = Field("", description="how the user's turn may begin that the model writes, one a line")
    answer_system: str = Field("", description="the system turn before a task that is to be answered; empty is none")
    answer_again: OfTask = Field("", description="the user's turn that has a task answered whose first answer broke a rule")
    brief: OfBrief = Field("", description="what a prompt says of the brief")
    backtranslation: OfPassage = Field("", description="examples of texts, each with the request that it answers, and a passage")
    backtranslation_chat: OfPassage = Field("", description="the user's turn that asks for the request that a passage answers")
    backtranslation_begun: OfPassage = Field("", description="the same where the user's turn is left to the model behind the passage")
    backtranslation_openings: str = Field("", description="how that request may begin, one a line")
    question: OfPassage = Field("", description="examples of texts, each with a question about it, and a passage")
    question_chat: OfPassage = Field("", description="the user's turn that asks for a question about a passage")
    question_begun: OfPassage = Field("", description="the same where the user's turn is left to the model behind the passage")
    question_openings: str = Field("", description="how that question may begin, one a line")
    passage_system: str = Field("", description="the system turn before a question about a passage that is to be answered")


PLACEHOLDERS: Mapping[str, str] = {name: next(iter(info.metadata), "") for name, info in Prompts.model_fields.items()}
"""The one placeholder that each text must have exactly once, or none."""


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
