"""Bringing a pool's tables from one version to the next, each step whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from studio.errors import PoolError
from studio.paths import shown
from studio.pool import schema
from studio.pool.core.database import explained


def statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script one by one; triggers, with semicolons of their own, stay whole."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if pending.strip():
        # What remains is unfinished or a mere comment; SQLite says which.
        yield pending.strip()


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str] | None = None) -> None:
    """Apply the migrations that `connection` has not seen, each in a transaction of its own that also sets `user_version`.

    Foreign keys are off meanwhile, as SQLite asks for where tables are rebuilt, and checked before each commit. Raises PoolError and leaves
    the last complete version in place when a step fails.
    """
    steps = schema.MIGRATIONS if migrations is None else migrations
    with explained(path):
        done: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if done >= len(steps):
            return
        connection.execute("PRAGMA foreign_keys = OFF")
        try:
            for version in range(done + 1, len(steps) + 1):
                _apply(connection, path, version, steps[version - 1])
        finally:
            connection.execute("PRAGMA foreign_keys = ON")


def _apply(connection: sqlite3.Connection, path: Path, version: int, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Not executescript: it would commit the open transaction first.
        for statement in statements(script):
            connection.execute(statement)
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise PoolError(
                f"pool {shown(path)} cannot be brought to version {version}: rows would point at nothing",
                "please report this; the pool is unchanged",
            )
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
