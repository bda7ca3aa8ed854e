"""What SQLite and the file system refuse, said so that a user knows what to do next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.errors import PoolError, UsageError
from studio.paths import shown
from studio.text import display_line

_KEPT = "everything up to the last committed stage is kept"
_CLOSE = "close the program that has the pool open (a database browser, the sqlite3 shell) and try again"
_LOCAL = "keep the pool on a local disk: network folders and shares of other systems often have no locks that SQLite can use"
_READING = "check the permissions of the file and its folder; reading commands (stats, show, export) still work"

_KNOWN: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", f"free some space and run the same command again: {_KEPT}"),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written", f"check the disk and its free space; {_KEPT}"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", _READING),
    sqlite3.SQLITE_PROTOCOL: ("the locks of its file system do not work", _LOCAL),
    sqlite3.SQLITE_NOLFS: ("its file system takes no file as large as that", _LOCAL),
    sqlite3.SQLITE_AUTH: ("SQLite as it is set up here does not allow that", "use a Python whose SQLite is the usual one"),
    sqlite3.SQLITE_INTERRUPT: ("the question was given up", "ask again"),
    sqlite3.SQLITE_SCHEMA: ("another program has changed its tables", "run the same command again"),
    sqlite3.SQLITE_PERM: ("access is denied", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_BUSY: ("another program has it locked", _CLOSE),
    sqlite3.SQLITE_LOCKED: ("another program has it locked", _CLOSE),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "restore it from a copy; `sqlite3 POOL .recover` saves what can be read"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "name a pool made by `studio run`"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check that the file and its folder may be read and written"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", "close other programs and try again"),
    sqlite3.SQLITE_TOOBIG: ("a text is longer than SQLite can hold", "leave it out"),
}
# Of the I/O errors those that speak of locks, which a local disk always has. Room for shared memory may be short on any.
_LOCKS = {getattr(sqlite3, f"SQLITE_IOERR_{name}") for name in ("LOCK", "UNLOCK", "RDLOCK", "CHECKRESERVEDLOCK", "BLOCKED", "SHMLOCK")}
# What SQLite and the sqlite3 module say, for errors that come without a code. Only damage makes text of the pool no UTF-8.
_WORDS = {
    "locking protocol": sqlite3.SQLITE_PROTOCOL,
    "database or disk is full": sqlite3.SQLITE_FULL,
    "disk I/O error": sqlite3.SQLITE_IOERR,
    "attempt to write a readonly database": sqlite3.SQLITE_READONLY,
    "access permission denied": sqlite3.SQLITE_PERM,
    "database is locked": sqlite3.SQLITE_BUSY,
    "database table is locked": sqlite3.SQLITE_LOCKED,
    "database disk image is malformed": sqlite3.SQLITE_CORRUPT,
    "Could not decode": sqlite3.SQLITE_CORRUPT,
    "file is not a database": sqlite3.SQLITE_NOTADB,
    "unable to open database file": sqlite3.SQLITE_CANTOPEN,
    "large file support is disabled": sqlite3.SQLITE_NOLFS,
    "not authorized": sqlite3.SQLITE_AUTH,
    "authorization denied": sqlite3.SQLITE_AUTH,
    "out of memory": sqlite3.SQLITE_NOMEM,
    "string or blob too big": sqlite3.SQLITE_TOOBIG,
    "interrupted": sqlite3.SQLITE_INTERRUPT,
}


def explain(error: sqlite3.Error, path: Path) -> PoolError:
    """Return the PoolError that stands for `error`, met while reading or writing the pool at `path`."""
    extended = getattr(error, "sqlite_errorcode", None)
    if extended is None:
        extended = next((code for words, code in _WORDS.items() if str(error).startswith(words)), -1)
    # The low byte of an extended result code is the primary one.
    what, hint = _KNOWN[sqlite3.SQLITE_PROTOCOL] if extended in _LOCKS else _KNOWN.get(extended & 0xFF, ("", ""))
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
