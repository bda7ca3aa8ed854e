"""The lints there are. To add one, write a `Lint` where others of its kind are, and name it here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studio.errors import UsageError, nearest_name
from studio.insight.lint.api import Lint
from studio.insight.lint.incomplete import MISSING_INPUT, PLACEHOLDER, TRUNCATED
from studio.insight.lint.language import LANGUAGE
from studio.insight.lint.pairs import CONTAMINATION, CONTRADICTION, NEAR_DUPLICATE
from studio.insight.lint.privacy import ACCOUNT, EMAIL, PHONE, SECRET
from studio.insight.lint.unwanted import REFUSAL, REPEATS, TEMPLATE

LINTS: Mapping[str, Lint] = {
    lint.code: lint
    for lint in (
        NEAR_DUPLICATE,
        REPEATS,
        MISSING_INPUT,
        CONTRADICTION,
        REFUSAL,
        PLACEHOLDER,
        TEMPLATE,
        TRUNCATED,
        EMAIL,
        PHONE,
        SECRET,
        ACCOUNT,
        LANGUAGE,
        CONTAMINATION,
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
