"""Outputs that only say again what was asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintTask, Measured, Part
from studio.loop.tokens import unicode_tokens

_LEAST = 4
"""Tokens: an answer shorter than this may well be a word or two of the input."""
_SHARE = 0.9
_MEANT = re.compile(
    r"\b(?:repeat|copy|echo|verbatim|unchanged|as it is|as is|again|punctuat\w*|capitali[sz]\w*"
    r"|capital letters?|(?:upper|lower|title|sentence)[ -]?case|commas?|quotation marks?"
    r"|(?:re)?format\w*|line breaks?|spac(?:es?|ing)|hyphens?)\b",
    re.IGNORECASE,
)


def _check(task: LintTask) -> Iterator[Finding]:
    if _MEANT.search(task.instruction):
        return
    instruction = unicode_tokens(task.instruction)
    for instance in task.instances:
        output = unicode_tokens(instance.output)
        if len(output) < _LEAST:
            continue
        given = unicode_tokens(instance.input)
        if any(_repeats(output, source) for source in (given, instruction, instruction + given)):
            yield Finding(task.id, instance.id, Part.OUTPUT, instance.output[:EXCERPT])


def _repeats(output: Sequence[str], source: Sequence[str]) -> bool:
    """Whether `output` is `source`, or the beginning or end of it that is nearly all of it."""
    if not _SHARE * len(source) <= len(output) <= len(source):
        return False
    return output in (source[: len(output)], source[len(source) - len(output) :])


LINT = Lint(
    code="repeats",
    title="the output only repeats the input or the instruction",
    help=(
        "The words of the output, of four or more, are those of the input, of the instruction, or of both one after the other, in their "
        "order: all of them, or the first or last nine tenths. Case, punctuation and white space do not count. Instructions that ask to "
        "repeat or copy, or that are about punctuation, case or layout, are passed over."
    ),
    note=(
        "An input that needed no correction is repeated rightly, and reported. A repetition with other words woven in, or of three words, "
        "is not found."
    ),
    measured=Measured(5, 6, 1, 8),
    faulty=("Simplify the sentence. | The cat sat on the mat. → the cat sat on the mat",),
    sound=("Simplify the sentence. | The feline reposed upon the rug. → The cat lay on the rug.",),
    check=_check,
)
