"""Keys and passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintTask, Measured, texts_of

_SHOWN = 8
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


def _check(task: LintTask) -> Iterator[Finding]:
    for part, instance_id, text in texts_of(task):
        if not _LONG.search(text):
            continue
        found = _KNOWN.search(text)
        key = found[0] if found else next((each[1] for each in _NAMED.finditer(text) if _is_mixed(each[1])), "")
        if key:
            yield Finding(task.id, instance_id, part, f"{key[:_SHOWN]}…")


def _is_mixed(key: str) -> bool:
    """Whether it has letters and digits, as keys have and words have not."""
    return any(character.isdigit() for character in key) and any(character.isalpha() for character in key)


LINT = Lint(
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
    check=_check,
)
