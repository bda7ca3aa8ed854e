"""One connection to a pool file: how it is opened, read, and written in transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.faults import explained
from studio.pool.sqlite_tables import SqliteUtils

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
