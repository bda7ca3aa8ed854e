"""Outputs that break off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintTask, Measured, Part

_LEAST_WORDS = 6
_OPEN_END = re.compile(
    r"\b(?:a|an|the|of|and|or|but|with|for|from|into|because|although|which|whose|their|its|your|our|is|are|was|were|such as|as well as"
    r"|including|between|than|by|at|if|while|when|very)$",
    re.IGNORECASE,
)
_MARKS = (",", ";", "(", "[", "{", "-", "–", "—", "&", "/")
_MEANT = re.compile(
    r"\b(?:complete|continue|finish|fill in|blank|next word|prefix|first (?:words?|lines?|half)|beginning of|stop ?words?|prepositions?"
    r"|conjunctions?|articles?|poem|lyrics|haiku|code|program|function|regex)\b",
    re.IGNORECASE,
)


def _check(task: LintTask) -> Iterator[Finding]:
    if task.is_classification or _MEANT.search(task.instruction):
        return
    for instance in task.instances:
        text = instance.output.rstrip()
        if _breaks_off(text):
            yield Finding(task.id, instance.id, Part.OUTPUT, text[-EXCERPT // 2 :])


def _breaks_off(text: str) -> bool:
    if text.count("```") % 2:
        return True
    if text.endswith("```") or len(text.split(None, _LEAST_WORDS)) < _LEAST_WORDS:
        return False
    return text.endswith(_MARKS) or _OPEN_END.search(text[-20:]) is not None


LINT = Lint(
    code="truncated",
    title="the output breaks off",
    help=(
        "An output of six words or more ends with a comma, an opening bracket, a dash or a word that wants another behind it (“the”, “of”, "
        "“because”), or a code block in it is not closed. Classification tasks, poems, code, and instructions that ask to complete or "
        "continue something are passed over."
    ),
    note=(
        "English words. An output that breaks off after any other word is not found: a missing full stop alone says little, lists and "
        "titles have none. “What is it made of” at the end of a sound output is reported."
    ),
    measured=Measured(6, 8, 1, 8),
    faulty=("Explain how bees make honey. → Bees collect nectar from flowers and carry it to the",),
    sound=("List three fruits. → apples, pears, plums",),
    check=_check,
)
