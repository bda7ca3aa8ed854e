"""Bank accounts and credit cards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintTask, Measured, texts_of

_SHOWN = 6
_DIGIT = re.compile(r"\d")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\w.-])(?<![A-Z]{2}\d\d )[3-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])")


def _check(task: LintTask) -> Iterator[Finding]:
    for part, instance_id, text in texts_of(task):
        if not _DIGIT.search(text):
            continue
        number = next((each[0] for each in _IBAN.finditer(text) if is_iban(each[0])), "")
        number = number or next((each[0] for each in _CARD.finditer(text) if is_card(each[0])), "")
        if number:
            yield Finding(task.id, instance_id, part, f"{number[:_SHOWN]}…")


def is_iban(text: str) -> bool:
    """Whether the check digits of an IBAN hold (ISO 13616: the rearranged number, letters from 10, is 1 modulo 97)."""
    number = text.replace(" ", "")
    return 15 <= len(number) <= 34 and int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


def is_card(text: str) -> bool:
    """Whether the check digit of a card number holds (ISO/IEC 7812: Luhn's sum is a multiple of 10)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) < 2:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


LINT = Lint(
    code="account",
    title="a bank account or credit card number",
    help=(
        "Any text has an IBAN whose check digits hold, or a number of 13 to 19 digits that begins with 3 to 6 and passes Luhn's check. "
        "Only its first characters are shown."
    ),
    note=(
        "One long number in ten passes Luhn's check by chance and is reported, and so are the test numbers that card schemes publish. "
        "National account numbers are not found."
    ),
    measured=Measured(4, 5, 1, 6),
    faulty=("→ Transfer it to the account DE89 3704 … with valid check digits.",),
    sound=("→ The ISBN is 978-0-306-40615-7.", "→ 4111 1111 1111 1112 (its check digit is wrong)"),
    check=_check,
)
