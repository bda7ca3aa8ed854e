"""Processes that die between two SQL statements, and what they leave on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from studio.pool.pool import Pool
from support.pools import assert_sound, contents, in_child

DIED, DONE = 7, 8
"""Exit codes of a process that died at its statement, and of one that was done before it."""

ENDINGS = ("", "-wal")
"""The files that a pool consists of: SQLite writes the third, `-shm`, anew where nobody has the pool open."""


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
    """Assert that a process killed at any statement of `change` leaves the pool as it was, and one that lives long enough changes it whole.

    A kill leaves the files as they are, so copies taken as each statement begins stand for the processes. Two are real: one dies at the
    last statement, one just behind it.
    """
    before = contents(path)
    scratch = path.with_name("scratch.db")
    shutil.copy(path, scratch)
    statements, left = _files_at_each_statement(scratch, change)
    for files in left:
        for ending, content in zip(ENDINGS, files, strict=True):
            scratch.with_name(scratch.name + ending).write_bytes(content)
        assert_sound(scratch)
        assert contents(scratch) == before
    # At least BEGIN, a change and COMMIT were cut.
    assert statements > 2
    for deadline, code in ((statements, DIED), (statements + 1, DONE)):

        def change_and_die(deadline: int = deadline) -> None:
            pool = Pool.open(path)
            die_at(pool._database.connection, deadline)
            change(pool)
            os._exit(DONE)

        assert in_child(change_and_die) == code
        assert_sound(path)
        assert (contents(path) == before) is (code == DIED)


def _files_at_each_statement(path: Path, change: Callable[[Pool], object]) -> tuple[int, set[tuple[bytes, ...]]]:
    """Let `change` be done and return how many statements it took, and all that the pool's files held as one of them began."""
    statements = 0
    left: set[tuple[bytes, ...]] = set()
    with ExitStack() as stack:
        open_files: dict[str, BinaryIO] = {}
        pool = Pool.open(path)

        def keep(_: str) -> None:
            nonlocal statements
            statements += 1
            for ending in ENDINGS:
                file = path.with_name(path.name + ending)
                if ending not in open_files and file.exists():
                    # They stay open until the pool is closed: to close one gives up the locks that SQLite holds on it.
                    open_files[ending] = stack.enter_context(file.open("rb"))
            left.add(tuple(_whole(open_files[ending]) if ending in open_files else b"" for ending in ENDINGS))

        pool._database.connection.set_trace_callback(keep)
        change(pool)
        pool._database.connection.set_trace_callback(None)
        pool.close()
    return statements, left


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()
