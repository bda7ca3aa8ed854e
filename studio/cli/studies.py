"""What `studio review` and `studio compare` have in common: which stored study is meant, and its export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from studio.cli.printing import write_lines
from studio.errors import PoolError, UsageError
from studio.text import display_line

P = TypeVar("P")
R = TypeVar("R")


def stored_study(there: Sequence[R], plan: P | None, find: Callable[[P], R | None], nothing: PoolError, other: UsageError) -> R:
    """Return the study of `plan`, or the newest of `there` without one. Raises `nothing` where there is none, `other` where none has it."""
    if not there:
        raise nothing
    found = there[0] if plan is None else find(plan)
    if found is None:
        raise other
    return found


def export_study(lines: Iterator[dict[str, Any]], target: str, what: str) -> None:
    """Write what raters said as JSON lines, and tell how many there are of `what`. Raises as `write_lines` does."""
    count = write_lines(lines, target)
    click.echo(f"exported {count} {what}: {display_line(target)}", err=True)
