"""What may be somebody's own: e-mail addresses, telephone numbers, keys and passwords, accounts and cards."""

from __future__ import annotations

import re

from studio.insight.lint.api import Lint, Measured, in_texts

# Bounded repetitions: a megabyte of dots must not take a megabyte's square of steps.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24})\b")
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost)$", re.IGNORECASE)


def _email(text: str) -> str:
    return next((each[0] for each in _EMAIL.finditer(text) if not _RESERVED.search(each[1])), "") if "@" in text else ""


EMAIL = Lint(
    code="email",
    title="an e-mail address",
    help=(
        "Any text has an e-mail address. Addresses of the domains that are reserved for examples (example.com, .test, .invalid) are passed "
        "over."
    ),
    note=(
        "Whether a person has the address is not known: a made-up one at a real domain is reported. “jane at company dot com” is not found."
    ),
    measured=Measured(4, 5, 1, 6),
    faulty=("→ Write to jane.doe@somewhere.org for tickets.",),
    sound=("→ Write to jane@example.com for tickets.", "→ Follow us: @studio"),
    check=in_texts(_email),
)


_PHONE = re.compile(
    r"(?<![\w.+-])\+\d[\d ().-]{6,20}\d(?!\w)"
    r"|(?<![\w.])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-])"
    r"|\b(?:phone|tel|telephone|mobile|cell|fax|call(?: us)?(?: at| on)?)\b[.:]? ?(?:number)?:? ?(\d[\d ()/-]{5,18}\d)(?!\w)",
    re.IGNORECASE,
)
_FICTION = re.compile(r"55501\d\d$|(?:2079460|1[1-6]\d4960|163296\d|7700900|2920180)\d{3}$")
"""The digits of numbers kept for films and books in North America (555-0100 to 555-0199) and Britain (Ofcom's lists)."""
_DIGIT = re.compile(r"\d")


def _phone(text: str) -> str:
    return next((each[0] for each in _PHONE.finditer(text) if _is_number(each[1] or each[0])), "") if _DIGIT.search(text) else ""


def _is_number(written: str) -> bool:
    """Whether it has as many digits as a telephone number (ITU-T E.164: at most 15) and is none of those kept for films and books."""
    digits = "".join(_DIGIT.findall(written))
    return 7 <= len(digits) <= 15 and not _FICTION.search(digits.replace("440", "44", 1))


PHONE = Lint(
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
    check=in_texts(_phone),
)


_KEY_SHOWN = 8
"""Characters of a key that a finding shows: enough to see which it is, not enough to use it."""

_LONG = re.compile(r"[\w/+.-]{14}|-----BEGIN")
"""Without so long a word there is no key in a text: most texts need not be looked at closely."""

_KNOWN = re.compile(
    r"(?<![\w-])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,}|glpat-[\w-]{20,}|sk-[\w-]{20,}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{35}|hf_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{5,})"
    r"|-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY-----"
)
_NAMED = re.compile(
    r"(?:api[ _-]?key|secret(?:[ _-]?key)?|access[ _-]?token|auth[ _-]?token|bearer|password|passwd)[\"']?\s*(?:[:=]|\bis\b)\s*[\"']?"
    r"([\w/+.-]{16,})",
    re.IGNORECASE,
)


def _secret(text: str) -> str:
    if not _LONG.search(text):
        return ""
    found = _KNOWN.search(text)
    key = found[0] if found else next((each[1] for each in _NAMED.finditer(text) if _is_mixed(each[1])), "")
    return f"{key[:_KEY_SHOWN]}…" if key else ""


def _is_mixed(key: str) -> bool:
    """Whether it has letters and digits, as keys have and words have not."""
    return any(character.isdigit() for character in key) and any(character.isalpha() for character in key)


SECRET = Lint(
    code="secret",
    title="a key or password",
    help=(
        "Any text has a private key's header, a token in the form that a well-known service gives out (AKIA…, ghp_…, sk-…, xoxb-…, AIza…, "
        "hf_…, a signed web token), or 16 or more letters and digits behind “API key”, “secret”, “token” or “password”. Only its first "
        "characters are shown."
    ),
    note=(
        "Whether a key opens anything is not known: an example from a manual is reported. Short passwords and unknown forms are not found."
    ),
    measured=Measured(6, 7, 1, 6),
    faulty=("→ Set API_KEY=… to sixteen or more letters and digits.",),
    sound=("→ Your password should have twelve characters.", "→ The secret is: practice."),
    check=in_texts(_secret),
)


_ACCOUNT_SHOWN = 6

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\w.-])(?<![A-Z]{2}\d\d )[3-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])")


def _account(text: str) -> str:
    if not _DIGIT.search(text):
        return ""
    ibans = (each[0] for each in _IBAN.finditer(text) if is_iban(each[0]))
    cards = (each[0] for each in _CARD.finditer(text) if is_card(each[0]))
    number = next(ibans, "") or next(cards, "")
    return f"{number[:_ACCOUNT_SHOWN]}…" if number else ""


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


ACCOUNT = Lint(
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
    check=in_texts(_account),
)
