"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintTask, Measured, texts_of

# Bounded repetitions: a megabyte of dots must not take a megabyte's square of steps.
_PATTERN = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24})\b")
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost)$", re.IGNORECASE)


def _check(task: LintTask) -> Iterator[Finding]:
    for part, instance_id, text in texts_of(task):
        if "@" not in text:
            continue
        found = next((each for each in _PATTERN.finditer(text) if not _RESERVED.search(each[1])), None)
        if found is not None:
            yield Finding(task.id, instance_id, part, found[0][:EXCERPT])


LINT = Lint(
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
    check=_check,
)
