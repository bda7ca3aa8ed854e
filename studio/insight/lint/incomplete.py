"""What is not whole: an input that is not there, a place that nobody filled in, an output that breaks off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import EXCERPT, Finding, Lint, Measured, Part, excerpt, matches
from studio.pool.stream import LintTask

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


def _missing_input(task: LintTask) -> Iterator[Finding]:
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


MISSING_INPUT = Lint(
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
    check=_missing_input,
)


_SLOT = (
    r"(?:your|my|insert|enter|add|name|(?:first|last|full|company|customer|client|recipient|sender|product|business|event)(?:['’]s)? ?name"
    r"|company|recipient|sender|date|address|phone(?: number)?|e-?mail(?: address)?|city|signature|title|topic|placeholder|text here)"
)
_PLACEHOLDER = re.compile(
    rf"\[{_SLOT}\b[^\]\n]{{0,40}}\]|<{_SLOT}\b[^>\n=/]{{0,40}}>|\{{{{?\s*{_SLOT}\b[^}}\n]{{0,40}}\}}"
    r"|\(insert [^)\n]{1,60}\)|\blorem ipsum\b|\bX{4,}\b|(?-i:(?<![A-Z\w])XXX(?![A-Z\w]))"
    r"|(?-i:\b(?:TODO|TBD|FIXME)\b)|\b(?:your|some) text here\b",
    re.IGNORECASE,
)
_PLACEHOLDER_MEANT = re.compile(
    r"\b(?:templates?|placeholders?|blanks?|forms?|mail merge|roman|numerals?|date format|regex|markup)\b", re.IGNORECASE
)


def _placeholder(task: LintTask) -> Iterator[Finding]:
    if not _PLACEHOLDER_MEANT.search(task.instruction):
        yield from matches(task, _PLACEHOLDER, Part.INPUT, Part.OUTPUT)


PLACEHOLDER = Lint(
    code="placeholder",
    title="placeholder text that nobody filled in",
    help=(
        "An input or output has “[Your name]”, “<insert date>”, “{name}”, “Lorem ipsum”, “XXX”, “TODO”, “your text here” and the like. "
        "Passed over where the instruction asks for a template, a form, placeholders, blanks or Roman numerals."
    ),
    note=(
        "“{name}” in program code, and XXX for thirty, are reported. Placeholders of other words (“[the boss]”) are not found. English "
        "words."
    ),
    measured=Measured(8, 9, 1, 8),
    faulty=("Write a thank-you note. → Dear [Recipient], thank you for the gift. Yours, [Your Name]",),
    sound=("Write a letter template with placeholders. → Dear [Recipient], ...", "→ The list is [1, 2, 3]."),
    check=_placeholder,
)


_LEAST_WORDS = 6
_OPEN_END = re.compile(
    r"\b(?:a|an|the|of|and|or|but|with|for|from|into|because|although|which|whose|their|its|your|our|is|are|was|were|such as|as well as"
    r"|including|between|than|by|at|if|while|when|very)$",
    re.IGNORECASE,
)
_MARKS = (",", ";", "(", "[", "{", "-", "–", "—", "&", "/")
_TRUNCATED_MEANT = re.compile(
    r"\b(?:complete|continue|finish|fill in|blank|next word|prefix|first (?:words?|lines?|half)|beginning of|stop ?words?|prepositions?"
    r"|conjunctions?|articles?|poem|lyrics|haiku|code|program|function|regex)\b",
    re.IGNORECASE,
)


def _truncated(task: LintTask) -> Iterator[Finding]:
    if task.is_classification or _TRUNCATED_MEANT.search(task.instruction):
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


TRUNCATED = Lint(
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
    check=_truncated,
)
