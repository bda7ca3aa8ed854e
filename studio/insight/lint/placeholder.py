"""Places that somebody was to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintTask, Measured, Part, matches

_SLOT = (
    r"(?:your|my|insert|enter|add|name|(?:first|last|full|company|customer|client|recipient|sender|product|business|event)(?:['’]s)? ?name"
    r"|company|recipient|sender|date|address|phone(?: number)?|e-?mail(?: address)?|city|signature|title|topic|placeholder|text here)"
)
_PATTERN = re.compile(
    rf"\[{_SLOT}\b[^\]\n]{{0,40}}\]|<{_SLOT}\b[^>\n=/]{{0,40}}>|\{{{{?\s*{_SLOT}\b[^}}\n]{{0,40}}\}}"
    r"|\(insert [^)\n]{1,60}\)|\blorem ipsum\b|\bX{4,}\b|(?-i:(?<![A-Z\w])XXX(?![A-Z\w]))"
    r"|(?-i:\b(?:TODO|TBD|FIXME)\b)|\b(?:your|some) text here\b",
    re.IGNORECASE,
)
_MEANT = re.compile(r"\b(?:templates?|placeholders?|blanks?|forms?|mail merge|roman|numerals?|date format|regex|markup)\b", re.IGNORECASE)


def _check(task: LintTask) -> Iterator[Finding]:
    if not _MEANT.search(task.instruction):
        yield from matches(task, _PATTERN, Part.INPUT, Part.OUTPUT)


LINT = Lint(
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
    check=_check,
)
