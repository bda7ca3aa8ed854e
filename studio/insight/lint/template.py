"""Pieces of the prompt's own template in the data, and what a model thought before its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintTask, Measured, Part, excerpt, matches, texts_of
from studio.loop.thoughts import first_mark

_CONTROL = r"<\|[a-z_]{2,20}\|>|</?s>|\[/?INST\]|<</?SYS>>|<noinput>|###\s*(?:Instruction|Input|Response|Output)\b"
_IN_INSTANCE = re.compile(
    rf"^[ \t]*(?:Example \d+\b[ \t]*(?:[:.]|$)|Task \d+[ \t]*:|Task:|(?:Input|Output)(?: \d+)?:|Instructions?(?: \d+)?:)|\bClass label:"
    rf"|Is it classification\?|{_CONTROL}",
    re.MULTILINE | re.IGNORECASE,
)
_IN_INSTRUCTION = re.compile(
    rf"\bClass label:|\bIs it classification\?|\b(?:Example|Task) \d+\s*(?::|$)|(?:^|\s)(?:Input|Output)(?: \d+)?:|{_CONTROL}",
    re.IGNORECASE,
)
_MEANT = re.compile(r"\b(?:(?:examples?|test cases?) with|program|function|script|prompt|template)\b", re.IGNORECASE)


def _check(task: LintTask) -> Iterator[Finding]:
    yield from matches(task, _IN_INSTRUCTION, Part.INSTRUCTION)
    if not _MEANT.search(task.instruction):
        yield from matches(task, _IN_INSTANCE, Part.INPUT, Part.OUTPUT)
    yield from _thoughts(task)


def _thoughts(task: LintTask) -> Iterator[Finding]:
    """Thoughts in a text, closed or not, unless the instruction itself asks for them by their mark."""
    if first_mark(task.instruction, spoken_of=True) and not first_mark(task.instruction):
        return
    for part, instance_id, text in texts_of(task):
        if found := first_mark(text):
            yield Finding(task.id, instance_id, part, excerpt(text, found))


LINT = Lint(
    code="template",
    title="a piece of the prompt's template, or a model's thoughts, leaked into the data",
    help=(
        "A line of an input or output begins with “Example 2”, “Task 9:”, “Task:”, “Input:”, “Output:”, “Instruction:”, or “Class label:” "
        "stands anywhere, or a chat format's control words; in an instruction, the same anywhere. Instances of instructions that are about "
        "programs, functions, prompts or templates are passed over. Marks of what a reasoning model thinks (<think>, </think>, [THINK], "
        "<reasoning>, gpt-oss's channels) are found everywhere, one of a pair alone as well, unless they stand in quotation marks."
    ),
    note=(
        "A document that truly numbers its examples is reported, and so is an instruction that ends in “Example 3”. Templates in other "
        "words or languages are not found."
    ),
    measured=Measured(15, 16, 1, 8),
    faulty=("Classify the review. | Good phone.\nClass label: positive → positive", "Name a fruit. → Apple\n\nTask 9: Name a colour."),
    sound=("Give an example of a simile. → For example, as brave as a lion.",),
    check=_check,
)
