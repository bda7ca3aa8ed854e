"""The lints there are. To add one, write a module with a LINT and name it here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studio.errors import UsageError, nearest_name
from studio.insight.lint import (
    account,
    contamination,
    contradiction,
    email,
    language,
    missing_input,
    near_duplicate,
    phone,
    placeholder,
    refusal,
    repeats,
    secret,
    template,
    truncated,
)
from studio.insight.lint.api import Lint

LINTS: Mapping[str, Lint] = {
    module.LINT.code: module.LINT
    for module in (
        near_duplicate,
        repeats,
        missing_input,
        contradiction,
        refusal,
        placeholder,
        template,
        truncated,
        email,
        phone,
        secret,
        account,
        language,
        contamination,
    )
}


def find_lint(code: str) -> Lint:
    """Return the lint called `code`. Raises UsageError with the nearest name."""
    if code not in LINTS:
        raise UsageError(f"there is no lint {code!r}", nearest_name(code, LINTS))
    return LINTS[code]


def chosen_lints(codes: Iterable[str], *, with_file: bool) -> list[Lint]:
    """Return the lints called `codes`, in the order of the registry; without any, all that need no file or have one.

    Raises UsageError for an unknown code, and for one that needs a file where none is named.
    """
    wanted = {find_lint(code).code for code in codes}
    if not wanted:
        return [lint for lint in LINTS.values() if with_file or not lint.needs_file]
    chosen = [lint for lint in LINTS.values() if lint.code in wanted]
    for lint in chosen:
        if lint.needs_file and not with_file:
            raise UsageError(f"the lint {lint.code} compares the pool with a file, and none is named", "add --against FILE")
    return chosen
