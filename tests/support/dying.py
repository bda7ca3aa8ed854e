"""Processes that die between two SQL statements."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from studio.pool.pool import Pool
from support.pools import assert_sound, contents, in_child

DIED, DONE = 7, 8
"""Exit codes of a process that died at its statement, and of one that was done before it."""


def die_at(connection: sqlite3.Connection, deadline: int) -> None:
    """End this process, with `DIED`, when `connection` begins its statement number `deadline` from now on."""
    seen = 0

    def count(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == deadline:
            os._exit(DIED)

    connection.set_trace_callback(count)


def assert_all_or_nothing(path: Path, change: Callable[[Pool], object]) -> None:
    """Let processes die at every statement of `change`: the pool stays as it was, until one lives long enough to change it whole."""
    before = contents(path)
    for deadline in range(1, 200):

        def change_and_die(deadline: int = deadline) -> None:
            pool = Pool.open(path)
            die_at(pool._database.connection, deadline)
            change(pool)
            os._exit(DONE)

        code = in_child(change_and_die)
        assert_sound(path)
        if code == DONE:
            break
        assert code == DIED
        assert contents(path) == before
    # At least BEGIN, a change and COMMIT were cut; what came last was whole.
    assert deadline > 3
    assert contents(path) != before
