"""Instructions that speak of something which is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintTask, Measured, Part, excerpt

_THING = (
    r"(?:texts?|sentences?|paragraphs?|passages?|articles?|stor(?:y|ies)|poems?|e-?mails?|letters?|messages?|lists?|tables?|data|dataset"
    r"|code|functions?|words?|phrases?|numbers?|reviews?|tweets?|questions?|statements?|dialogues?|conversations?|documents?|essays?|inputs?"
    r"|equations?|expressions?|strings?|arrays?|sequences?|recipes?|headlines?|titles?|topics?|products?|claims?|premises?|scenarios?"
    r"|descriptions?|information|options|items|snippets?|lines|excerpts?|quotes?|problems?|facts|pairs?)"
)
_CUE = re.compile(
    rf"\b(?:(?:following|given|provided|above)\s+(?:\w+[\s-]+){{0,2}}?{_THING}\b"
    rf"|given\s+(?:an?|the|some|two|three|these|this)\s+(?:\w+[\s-]+){{0,2}}?{_THING}\b"
    rf"|(?:this|these)\s+(?:\w+\s+)?{_THING}\b"
    rf"|{_THING}\s+(?:below|above|provided)\b)",
    re.IGNORECASE,
)
# Bounded: a text of opening quotes alone must not take the square of its length.
_QUOTED = re.compile(r"[\"“«].{0,300}?[\"”»]|(?<!\w)['‘].{0,300}?['’](?!\w)", re.DOTALL)
_CARRIED = re.compile(
    r"[:：]\s*\S|\n[^\S\n]*\S|[\"“«「`].{1,300}?[\"”»」`]|(?<!\w)['‘].{1,300}?['’](?!\w)|\d",
    re.DOTALL,
)


def _check(task: LintTask) -> Iterator[Finding]:
    if all(instance.input.strip() for instance in task.instances):
        return
    # What is quoted is spoken about, not referred to.
    found = _CUE.search(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), task.instruction))
    # What is referred to may stand in the instruction itself: behind a colon, in quotes, or as figures.
    if found is None or _CARRIED.search(task.instruction, found.start()):
        return
    for instance in task.instances:
        if not instance.input.strip():
            yield Finding(task.id, instance.id, Part.INSTRUCTION, excerpt(task.instruction, found))


LINT = Lint(
    code="missing-input",
    title="the instruction needs an input that is not there",
    help=(
        "The instruction speaks of “the following text”, “the given list”, “this sentence”, “the table below” and the like, and the "
        "instance has an empty input. It is passed over when the thing stands in the instruction itself: behind a colon, in quotes, on a "
        "line of its own, or as figures."
    ),
    note=(
        "English only. “This question” may mean the instruction, and is reported; a need in other words (“Summarise it.”) is not found; "
        "a number in the instruction that is not the input hides one."
    ),
    measured=Measured(7, 9, 1, 9),
    faulty=("Summarise the following text. | (empty) → The text is about bees.",),
    sound=("Translate the following sentence: I like tea. | (empty) → J'aime le thé.", "Summarise the following text. | Bees ... → ..."),
    check=_check,
)
