"""Finding what lints report in the list of the pool screen: `lint:CODE` among the words."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace

from studio.errors import PoolError, UsageError
from studio.insight.lint.api import Lint, LintOptions
from studio.insight.lint.registry import find_lint
from studio.insight.lint.run import run_lints
from studio.pool.browse import Kind, Selection
from studio.pool.pool import Queries

PREFIX = "lint:"

Tell = Callable[[int, int], bool]
"""Told how many steps are done, of how many; says whether anybody still waits for the answer."""


def split_words(text: str) -> tuple[list[str], str]:
    """Return the codes that `text` names, and its other words.

    >>> split_words("river lint:email")
    (['email'], 'river')
    """
    words = text.split(" ")
    codes = [word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX)]
    return codes, " ".join(word for word in words if not word.startswith(PREFIX)) if codes else text


class LintSearch:
    """Looks for faults once for each state of the pool; used by one thread at a time."""

    def __init__(self) -> None:
        self._version = -1
        self._found: dict[str, frozenset[int]] = {}

    def browse(self, pool: Queries, wanted: Selection, tell: Tell) -> array[int]:
        """Return the ids that `wanted` selects; where its text names lints, of those the tasks that all of them report.

        Raises UsageError for a code that is none, PoolError as reading does and when nobody waits any more.
        """
        codes, words = split_words(wanted.text)
        if not codes:
            return pool.browse_ids(wanted)
        lints = [_usable(code) for code in codes]
        if wanted.kind is not Kind.TASKS:
            raise UsageError("lints look at tasks only", "choose tasks, or leave lint: out")
        version = pool.version()
        if version != self._version:
            self._version, self._found = version, {}
        flagged = [self._tasks(pool, lint, tell) for lint in lints]
        found = pool.browse_ids(replace(wanted, text=words))
        return array("q", (task_id for task_id in found if all(task_id in each for each in flagged)))

    def _tasks(self, pool: Queries, lint: Lint, tell: Tell) -> frozenset[int]:
        def progress(done: int, steps: int) -> None:
            if not tell(done, steps):
                raise PoolError("given up")

        if lint.code not in self._found:
            [found] = run_lints(pool, [lint], LintOptions(), progress).found
            self._found[lint.code] = frozenset(found.task_ids)
        return self._found[lint.code]


def _usable(code: str) -> Lint:
    lint = find_lint(code)
    if lint.needs_file:
        raise UsageError(f"the lint {code} compares the pool with a file", "studio lint POOL --against FILE")
    return lint
