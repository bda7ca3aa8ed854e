"""Telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintTask, Measured, texts_of

_PATTERN = re.compile(
    r"(?<![\w.+-])\+\d[\d ().-]{6,20}\d(?!\w)"
    r"|(?<![\w.])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-])"
    r"|\b(?:phone|tel|telephone|mobile|cell|fax|call(?: us)?(?: at| on)?)\b[.:]? ?(?:number)?:? ?(\d[\d ()/-]{5,18}\d)(?!\w)",
    re.IGNORECASE,
)
_FICTION = re.compile(r"55501\d\d$|(?:2079460|1[1-6]\d4960|163296\d|7700900|2920180)\d{3}$")
"""The digits of numbers kept for films and books in North America (555-0100 to 555-0199) and Britain (Ofcom's lists)."""
_DIGIT = re.compile(r"\d")


def _check(task: LintTask) -> Iterator[Finding]:
    for part, instance_id, text in texts_of(task):
        if not _DIGIT.search(text):
            continue
        found = next((each for each in _PATTERN.finditer(text) if _is_number(each[1] or each[0])), None)
        if found is not None:
            yield Finding(task.id, instance_id, part, found[0])


def _is_number(written: str) -> bool:
    """Whether it has as many digits as a telephone number (ITU-T E.164: at most 15) and is none of those kept for films and books."""
    digits = "".join(_DIGIT.findall(written))
    return 7 <= len(digits) <= 15 and not _FICTION.search(digits.replace("440", "44", 1))


LINT = Lint(
    code="phone",
    title="a telephone number",
    help=(
        "Any text has a number with a country code (+49 30 1234567), in the North American form ((202) 456-1111, 202-456-1111), or behind "
        "the word phone, tel, mobile, fax or call. Numbers that are kept for fiction in North America (555-0100 to 555-0199) and Britain "
        "are passed over."
    ),
    note=(
        "Whether anybody has the number is not known. National forms of other countries without such a word are not found; a signed "
        "decimal sequence such as “+1 234 567 890” as a sum is reported."
    ),
    measured=Measured(5, 6, 1, 8),
    faulty=("→ Call (202) 456-1111 or +49 30 1234567.",),
    sound=("→ From 1990 to 2005, in 2020-01-15.", "→ Call (202) 555-0143."),
    check=_check,
)
