"""One connection to a pool file: how it is opened, read, and written in transactions, and how its refusals are told."""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from enum import Enum
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from studio.errors import PoolError, UsageError
from studio.paths import shown
from studio.text import display_line, storable

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


def explain(error: sqlite3.Error, path: Path) -> PoolError:
    """Return the PoolError that stands for `error`, met while reading or writing the pool at `path`."""
    # Only the module's own refusals have no code. What can be no UTF-8 in a pool is damaged.
    damaged = sqlite3.SQLITE_CORRUPT if str(error).startswith("Could not decode") else -1
    extended = getattr(error, "sqlite_errorcode", damaged)
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


BUSY_SECONDS = 5.0
"""How long SQLite waits for a lock of another program before it gives up."""

Row = sqlite3.Row
"""A row whose values have names: `row["name"]`."""

Parameters = Sequence[Any] | Mapping[str, Any]
T = TypeVar("T")
_STREAMED = 10_000
CHUNK = 500
"""How many ids one query asks for; SQLite takes 999 parameters at least."""
_ROWS = 50
"""How many rows one statement inserts: of the widest table as many as such parameters allow."""

_NO_SHARED_MEMORY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)


def record_of(kind: type[T], row: Row | Mapping[str, Any], **more: Any) -> T:
    """Return a record whose fields are the columns of `row` of the same names, and what is given besides.

    Enumerations and truth values become what the fields say; columns that are no fields are left alone.
    """
    return kind(**{name: convert(row[name]) for name, convert in _fields(cast(Any, kind), tuple(row.keys())) if name not in more}, **more)


@cache
def _fields(kind: Any, columns: tuple[str, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
    hints = get_type_hints(kind)
    return [(each.name, _converter(hints[each.name])) for each in fields(kind) if each.name in columns]


def _converter(hint: Any) -> Callable[[Any], Any]:
    for each in get_args(hint) or (hint,):
        if isinstance(each, type) and (each is bool or issubclass(each, Enum)):
            return lambda value: None if value is None else each(value)
    return lambda value: value


class Database:
    """A connection, its file, and the transactions on it. Lone surrogates in what is stored or asked for become U+FFFD.

    A thread may use it while no other does; write transactions are serialised by a lock of their own. The journal is WAL, so readers
    never wait for the writer. `synchronous` is FULL: each commit reaches the disk before it returns. A round commits a handful of times
    between minutes of model time, so nobody notices the cost, and a power cut loses no more than a kill does.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._lock = threading.RLock()
        self.connection = connection
        connection.row_factory = sqlite3.Row
        self._file = _identity(path)

    @cached_property
    def _tables(self) -> Any:
        # Only what writes waits for the import. Plugins of other tools have no business in a pool.
        from sqlite_utils import Database as Tables

        return Tables(self.connection, execute_plugins=False)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a query. Raises PoolError when the pool cannot be read, as all that reads does."""
        with explained(self.path):
            return self.connection.execute(sql, _stored(parameters)).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query, or None."""
        with explained(self.path):
            row: Row | None = self.connection.execute(sql, _stored(parameters)).fetchone()
            return row

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first column of the first row of a query, or None."""
        row = self.row(sql, parameters)
        return None if row is None else row[0]

    def records(self, kind: type[T], sql: str, parameters: Parameters = ()) -> list[T]:
        """Return the rows of a query as records, each field from the column of its name."""
        return [record_of(kind, row) for row in self.rows(sql, parameters)]

    def record(self, kind: type[T], sql: str, parameters: Parameters = ()) -> T | None:
        """Return the first row of a query as a record, or None."""
        row = self.row(sql, parameters)
        return None if row is None else record_of(kind, row)

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query as plain tuples, in constant memory."""
        with explained(self.path):
            cursor = self.connection.cursor()
            cursor.row_factory = None
            cursor.execute(sql, _stored(parameters))
            while rows := cursor.fetchmany(_STREAMED):
                yield from rows

    def each(self, kind: type[T], sql: str, parameters: Parameters = ()) -> Iterator[T]:
        """Yield the rows of a query as records, in constant memory."""
        with explained(self.path):
            cursor = self.connection.execute(sql, _stored(parameters))
            while rows := cursor.fetchmany(_STREAMED):
                yield from (record_of(kind, row) for row in rows)

    def among(self, sql: str, ids: Sequence[int]) -> Iterator[Row]:
        """Yield the rows of a query about some ids, in pieces: `{}` in it stands for as many placeholders."""
        for start in range(0, len(ids), CHUNK):
            piece = ids[start : start + CHUNK]
            yield from self.rows(sql.format(", ".join("?" * len(piece))), piece)

    def ids(self, sql: str, parameters: Parameters = ()) -> array[int]:
        """Return the first column of a query: 8 bytes each, so a million is no burden."""
        return array("q", (row[0] for row in self.stream(sql, parameters)))

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]], verb: str = "INSERT") -> None:
        """Insert `rows`, values by column, all with the columns of the first; only within `transaction`, which alone commits."""
        self._require_transaction()
        remaining = iter(rows)
        # Many rows a statement: at the end of each one the index for full text is written, which takes longer than the row. The insert of
        # sqlite-utils takes half as long again.
        while piece := list(islice(remaining, _ROWS)):
            columns = tuple(piece[0])
            places = ", ".join([f"({', '.join('?' * len(columns))})"] * len(piece))
            values = [_storable(row[column]) for row in piece for column in columns]
            self.connection.execute(f"{verb} INTO {table} ({', '.join(columns)}) VALUES {places}", values)

    def insert_row(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert one row and return its id; only within `transaction`."""
        found = self.insert_new(table, values, "")
        assert found is not None
        return found

    def insert_new(self, table: str, values: Mapping[str, Any], otherwise: str = "ON CONFLICT DO NOTHING") -> int | None:
        """Insert one row and return its number; None where it is there already. Only within `transaction`."""
        places = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places}) {otherwise}"
        cursor = self.execute(sql, tuple(values.values()))
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def lookup(self, table: str, unique: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> int:
        """Return the id of the row that has the values of `unique`, made with those of `more` when there is none; in a transaction."""
        self._require_transaction()
        return int(self._tables.table(table).lookup(_stored(unique), _stored(more or {})))

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Execute a writing statement; only within `transaction`."""
        self._require_transaction()
        return self.connection.execute(sql, _stored(parameters))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block as one transaction: committed whole at its end, rolled back whole on any error.

        Raises PoolError when the pool is open for reading only, was moved or deleted meanwhile, or when SQLite fails.
        """
        with self._lock:
            self._check_writable()
            with explained(self.path):
                try:
                    self.connection.execute("BEGIN IMMEDIATE")
                    yield
                    self.connection.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back by itself after some errors, a full disk among them.
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                    raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of the block see one state of the pool, whatever a writer commits meanwhile."""
        with explained(self.path):
            if self.writable or self.connection.in_transaction:
                # The one writer sees its own state anyway, and must stay free to commit.
                yield
                return
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("ROLLBACK")

    def optimize(self) -> None:
        """Let SQLite count a sample of what has grown much, so that it chooses its indexes by that. Raises PoolError."""
        with explained(self.path):
            self.connection.execute("PRAGMA analysis_limit = 400")
            self.connection.execute("PRAGMA optimize")

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self.connection.close()

    def _require_transaction(self) -> None:
        if not self.connection.in_transaction:
            raise RuntimeError("write outside of a transaction")

    def _check_writable(self) -> None:
        if self.connection.in_transaction:
            raise RuntimeError("a transaction within a transaction")
        if not self.writable:
            raise PoolError(f"pool {shown(self.path)} is open for reading only")
        if _identity(self.path) != self._file:
            raise PoolError(
                f"pool {shown(self.path)} was moved, deleted or replaced while it was open",
                "move it back together with its -wal file, then run the same command again",
            )


def _storable(value: Any) -> Any:
    """A value as SQLite takes it: a lone surrogate in a text would be refused."""
    return storable(value) if isinstance(value, str) else value


def _stored(parameters: Parameters) -> Parameters:
    if isinstance(parameters, Mapping):
        return {name: _storable(value) for name, value in parameters.items()}
    return [*map(_storable, parameters)]


def connect_writable(path: Path) -> Database:
    """Open an existing pool file for reading and writing; nothing of it is changed yet. Raises PoolError."""
    connection = _connect(path, "mode=rw")
    with _opening(path, connection):
        connection.execute("PRAGMA synchronous = FULL")
        # macOS: fsync alone leaves data in the drive's cache.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        return Database(path, connection, writable=True)


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
    with _opening(path, connection):
        # The first read is what finds a lock, a truncated file or a missing WAL.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return Database(path, connection, writable=False)


@contextmanager
def _opening(path: Path, connection: sqlite3.Connection) -> Iterator[None]:
    """Close `connection` when its first statements fail. Raises PoolError."""
    try:
        with explained(path):
            yield
    except UnicodeDecodeError as error:
        connection.close()
        # What SQLite says of a damaged schema quotes it, whatever its bytes are.
        raise explain(sqlite3.DatabaseError("Could not decode the names of its tables"), path) from error
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


class Entity:
    """One kind of thing in a pool: read through any connection, written through the writer's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _absent(self, what: str, hint: str = "") -> PoolError:
        """Return what to raise for a thing that the pool does not have."""
        return PoolError(f"pool {shown(self._database.path)} has no {what}", hint)
