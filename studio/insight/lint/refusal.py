"""Outputs in which the model declines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintTask, Measured, Part

_DOING = (
    r"(?:help|assist|provide|answer|do|complete|fulfil|generate|create|write|access|see|open|browse|process|comply|perform|determine|give"
    r"|offer|translate|summari[sz]e|identify|engage|support|discuss|recommend|predict|view|read|hear|tell|say|feel|have|make|find)"
)
_UNABLE = (
    r"(?:can(?:not|['’]?t| not)|am (?:unable|not able) to|['’]m (?:unable|not able) to|won['’]t|will not|(?:am|['’]m) not programmed to)"
)
_SAYS_AI = re.compile(
    r"\b(?:as|I['’]?m(?: just| only)?|I am(?: just| only)?) an? (?:AI\b|artificial intelligence|(?:large )?language model|virtual assistant"
    r"|computer program|chat ?bot|text-based)",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    rf"(?:(?:I['’]m|I am) (?:very |so |terribly )?(?:sorry|afraid)\b[,.]?|sorry\b[,.]?|unfortunately\b,?|(?:my )?apologies\b[,.]?"
    rf"|I apologi[sz]e\b[,.]?)?\s{{0,4}}(?:but |that )?(?:I ?{_UNABLE} (?:\w+ )?{_DOING}\b"
    rf"|I (?:do not|don['’]t) have (?:access|enough information|the ability|personal|feelings|opinions|real-time)"
    rf"|(?:this|that|your) (?:request|question|task) (?:cannot|can['’]t|can not) be)",
    re.IGNORECASE,
)
_MEANT = re.compile(
    r"\b(?:apolog|declin|refus|excuse|e-?mail|letter|dialog|conversation|reply|repl(?:y|ies)\b|respond|response|translat|rewrite|paraphras"
    r"|chat ?bot|language model|AI\b)",
    re.IGNORECASE,
)


def refusal_in(instruction: str, output: str) -> str:
    """Return where an output declines what the instruction asks for, or speaks as an AI; empty where it does neither."""
    output = output.lstrip()
    found = _DECLINES.match(output) or _SAYS_AI.search(output)
    if not found or _MEANT.search(instruction):
        return ""
    return output[found.start() : found.start() + EXCERPT].rstrip()


def _check(task: LintTask) -> Iterator[Finding]:
    for instance in task.instances:
        if excerpt := refusal_in(task.instruction, instance.output):
            yield Finding(task.id, instance.id, Part.OUTPUT, excerpt)


LINT = Lint(
    code="refusal",
    title="the output refuses, or speaks as an AI",
    help=(
        "The output begins with “I cannot …”, “I'm sorry, but I am unable to …”, “I don't have access …” and the like, or says anywhere "
        "“as an AI”, “I am a language model”. Passed over where the instruction asks for an apology, a letter, a reply, a dialogue or a "
        "translation, or is about AI."
    ),
    note=(
        "English only. A first-person text that truly begins so (a diary, a quotation) is reported; a refusal in the third person, or one "
        "that answers a letter or a reply, is not found."
    ),
    measured=Measured(8, 10, 1, 8),
    faulty=("What will the weather be tomorrow? → As an AI language model, I cannot know the weather.",),
    sound=("Decline an invitation politely by e-mail. → I'm sorry, but I can't make it on Friday.", "→ I can't believe how good it was."),
    check=_check,
)
