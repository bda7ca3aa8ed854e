"""What SQLite and the file system refuse, said so that a user knows what to do next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.errors import PoolError, UsageError
from studio.text import display_line

_KEPT = "everything up to the last committed stage is kept"
_CLOSE = "close the program that has the pool open (a database browser, the sqlite3 shell) and try again"
_READING = "check the permissions of the file and its folder; reading commands (stats, show, export) still work"

_KNOWN: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", f"free some space and run the same command again: {_KEPT}"),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written", f"check the disk and its free space; {_KEPT}"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", _READING),
    sqlite3.SQLITE_PERM: ("access is denied", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_BUSY: ("another program has it locked", _CLOSE),
    sqlite3.SQLITE_LOCKED: ("another program has it locked", _CLOSE),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "restore it from a copy; `sqlite3 POOL .recover` saves what can be read"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "name a pool made by `studio run`"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check that the file and its folder may be read and written"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", "close other programs and try again"),
    sqlite3.SQLITE_TOOBIG: ("a text is longer than SQLite can hold", "leave it out"),
}


def shown(path: Path) -> str:
    """Return `path` as text that is safe to print."""
    return display_line(str(path))


def explain(error: sqlite3.Error, path: Path) -> PoolError:
    """Return the PoolError that stands for `error`, met while reading or writing the pool at `path`."""
    # The low byte of an extended result code is the primary one.
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF
    if str(error).startswith("Could not decode"):
        # The sqlite3 module's own, without a code: only damage makes text of the pool no UTF-8.
        code = sqlite3.SQLITE_CORRUPT
    what, hint = _KNOWN.get(code, ("", ""))
    if not what:
        return PoolError(f"pool {shown(path)}: {display_line(str(error))}", "this is a fault of the studio: please report it")
    return PoolError(f"pool {shown(path)}: {what} ({display_line(str(error))})", hint)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn every sqlite3 error within the block into a PoolError that names `path`.

    Raises UsageError for a number of more than 64 bits, which only a person can have asked for.
    """
    try:
        yield
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise UsageError("a number is larger than a pool can hold", "choose one below 2 to the power of 63") from error
    except sqlite3.Error as error:
        raise explain(error, path) from error
