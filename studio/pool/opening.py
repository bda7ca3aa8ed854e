"""What is checked when a pool is opened, beyond the file's header."""

from __future__ import annotations

import os
from pathlib import Path

from studio.errors import OldPoolError, PoolError
from studio.paths import shown
from studio.pool import schema
from studio.pool.database import Database, connect_readable, connect_writable
from studio.pool.header import check_version
from studio.pool.lock import sign
from studio.pool.migrate import migrate


def check_tables(database: Database) -> int:
    """Return the schema version that stands in the pool; raise PoolError when it is too new or the tables cannot be read.

    The header cannot tell of a version that is still in the WAL file, nor of damage.
    """
    row = database.row("PRAGMA user_version")
    version = int(row[0]) if row else 0
    check_version(database.path, version)
    if not database.row("SELECT 1 FROM sqlite_master WHERE name = 'tasks'"):
        raise PoolError(f"pool {shown(database.path)} is damaged: its tables are missing", "restore it from a copy, or name another file")
    database.row("SELECT count(*) FROM tasks WHERE id = 0")
    return version


def check_readable(database: Database) -> Database:
    """Return `database` when its tables are of the present version; otherwise close it and raise PoolError.

    That is an OldPoolError where opening for writing would help.
    """
    try:
        version = check_tables(database)
        known = len(schema.MIGRATIONS)
        if version < known:
            raise OldPoolError(
                f"pool {shown(database.path)} has version {version}, reading needs version {known}",
                "go on with it once (`studio run`): that brings it up to date",
            )
    except BaseException:
        database.close()
        raise
    return database


def check_permissions(path: Path) -> None:
    """Raise PoolError when the file or its folder is read-only; SQLite needs both to write."""
    for what, target in (("file", path), ("folder", path.parent)):
        if not os.access(target, os.W_OK):
            raise PoolError(
                f"pool {shown(path)} cannot be written: the {what} is read-only",
                "change its permissions or copy it elsewhere; stats, show and export work as it is",
            )


def open_writable(path: Path) -> Database:
    """Open the pool file at `path` for writing, bring it to the present version and sign as its writer; call with the lock held."""
    if path.with_name(path.name + "-wal").exists():
        # A killed writer's last commits. Looked at without the right to write first, since closing a writable connection would move them.
        look = connect_readable(path)
        try:
            check_tables(look)
        finally:
            look.close()
    database = connect_writable(path)
    try:
        check_tables(database)
        database.use_wal()
        migrate(database.connection, path)
        sign(database)
    except BaseException:
        database.close()
        raise
    return database
