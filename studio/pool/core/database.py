"""One connection to a pool file: how it is opened, read, and written in transactions, and how its refusals are told."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


__all__ = ["SqliteUtils"]

# sqlite-utils imports pandas where it finds it, which takes two seconds, only to recognise its types among inserted values.
_hide = "pandas" not in sys.modules
if _hide:
    sys.modules["pandas"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database as SqliteUtils
finally:
    if _hide:
        del sys.modules["pandas"]


BUSY_SECONDS = 5.0
"""How long SQLite waits for a lock of another program before it gives up."""

Row = tuple[Any, ...]

_NO_SHARED_MEMORY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)


class Database:
    """A connection, its file, and the transactions on it.

    A thread may use it while no other does; write transactions are serialised by a lock of their own. The journal is WAL, so readers
    never wait for the writer. `synchronous` is FULL: each commit reaches the disk before it returns. A round commits a handful of times
    between minutes of model time, so nobody notices the cost, and a power cut loses no more than a kill does.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._lock = threading.RLock()
        self._connection = connection
        # Plugins of other tools have no business in a pool.
        self._tables = SqliteUtils(connection, execute_plugins=False)
        self._file = _identity(path)

    @property
    def connection(self) -> sqlite3.Connection:
        return self._connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query. Raises PoolError when the pool cannot be read."""
        with explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, or None. Raises PoolError when the pool cannot be read."""
        with explained(self.path):
            row: Row | None = self._connection.execute(sql, parameters).fetchone()
            return row

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert `rows` into `table`, many in a statement; only within `transaction`, which alone commits."""
        if not self._connection.in_transaction:
            raise RuntimeError("insert outside of a transaction")

        def with_header() -> Iterator[list[Any]]:
            # sqlite-utils takes the column names as the first row.
            yield list(columns)
            for row in rows:
                yield list(row)

        self._tables.table(table).insert_all(with_header())

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a writing statement; only within `transaction`."""
        if not self._connection.in_transaction:
            raise RuntimeError("write outside of a transaction")
        return self._connection.execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block as one transaction: committed whole at its end, rolled back whole on any error.

        Raises PoolError when the pool is open for reading only, was moved or deleted meanwhile, or when SQLite fails.
        """
        with self._lock:
            self._check_writable()
            with explained(self.path):
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield
                    self._connection.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back by itself after some errors, a full disk among them.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of the block see one state of the pool, whatever a writer commits meanwhile."""
        with explained(self.path):
            if self.writable or self._connection.in_transaction:
                # The one writer sees its own state anyway, and must stay free to commit.
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def use_wal(self) -> None:
        """Switch to the WAL journal where another tool has switched it off. Raises PoolError where the file system cannot do it."""
        row = self.row("PRAGMA journal_mode = WAL")
        if row != ("wal",):
            raise PoolError(f"pool {shown(self.path)} cannot be switched to WAL", "keep the pool on a local disk")

    def optimize(self) -> None:
        """Let SQLite count a sample of what has grown much, so that it chooses its indexes by that. Raises PoolError."""
        with explained(self.path):
            self._connection.execute("PRAGMA analysis_limit = 400")
            self._connection.execute("PRAGMA optimize")

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._connection.close()

    def _check_writable(self) -> None:
        if self._connection.in_transaction:
            raise RuntimeError("a transaction within a transaction")
        if not self.writable:
            raise PoolError(f"pool {shown(self.path)} is open for reading only")
        if _identity(self.path) != self._file:
            raise PoolError(
                f"pool {shown(self.path)} was moved, deleted or replaced while it was open",
                "move it back together with its -wal file, then run the same command again",
            )


def connect_writable(path: Path) -> Database:
    """Open an existing pool file for reading and writing; nothing of it is changed yet. Raises PoolError."""
    connection = _connect(path, "mode=rw")
    try:
        with explained(path):
            connection.execute("PRAGMA synchronous = FULL")
            # macOS: fsync alone leaves data in the drive's cache.
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            return Database(path, connection, writable=True)
    except BaseException:
        connection.close()
        raise


def connect_readable(path: Path) -> Database:
    """Open an existing pool file for reading only, beside a writer if there is one. Raises PoolError."""
    try:
        return _readable(path, "mode=ro")
    except PoolError as error:
        # In a folder that cannot be written, or on a full disk, SQLite cannot set up WAL's shared memory. Without a WAL file the pool
        # is the whole state and nobody writes it, so it can be read as it lies.
        refused = getattr(error.__cause__, "sqlite_errorcode", -1) & 0xFF in _NO_SHARED_MEMORY
        if not refused or _size(path.with_name(path.name + "-wal")) > 0:
            raise
    return _readable(path, "mode=ro&immutable=1")


def _readable(path: Path, mode: str) -> Database:
    connection = _connect(path, mode)
    try:
        with explained(path):
            # The first read is what finds a lock, a truncated file or a missing WAL.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return Database(path, connection, writable=False)
    except BaseException:
        connection.close()
        raise


def _connect(path: Path, options: str) -> sqlite3.Connection:
    with explained(path):
        # isolation_level None: no transaction begins that is not written down here. Threads take turns, see Database.
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?{options}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


CHUNK = 500
"""How many ids one query asks for; SQLite takes 999 parameters at least."""


class Reader:
    """Reads through one connection, its own or the writer's."""

    def __init__(self, database: Database) -> None:
        self._database = database


def chunks(ids: Sequence[int]) -> Iterator[tuple[Sequence[int], str]]:
    """Yield `ids` in pieces, each with as many SQL placeholders."""
    for start in range(0, len(ids), CHUNK):
        piece = ids[start : start + CHUNK]
        yield piece, ", ".join("?" * len(piece))
