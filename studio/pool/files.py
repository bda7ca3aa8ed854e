"""The pool as a file: whether it is one, who writes it, and what is checked when it is opened.

A file is looked at from its first bytes, so that a foreign one is never handed to SQLite, let alone changed. One process writes a pool: it
holds a lock file beside it, which a dead process cannot hold, and signs in a row that tells others who it is.
"""

from __future__ import annotations

import os
import socket
import stat
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from studio.errors import PoolError, PoolInUse
from studio.paths import shown
from studio.pool.database import Database, connect_readable, connect_writable

APPLICATION_ID = 0x53495331
"""SQLite's `application_id` of a pool: the bytes `SIS1`."""

VERSION = 11
"""SQLite's `user_version` of a pool with the tables of `schema.sql`."""

# https://www.sqlite.org/fileformat.html section 1.3: 100 bytes, big-endian.
_SIZE = 100
_MAGIC = b"SQLite format 3\x00"
_USER_VERSION = slice(60, 64)
_APPLICATION_ID = slice(68, 72)

_NAME_A_POOL = "name a pool made by `studio run`, or a new file to make one"


def resolved(path: Path) -> Path:
    """Return the absolute path behind `path`, so that all its names share one lock. Raises PoolError for a loop of links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PoolError(
            f"cannot read {shown(path)}: {reason.lower()}", "check the path, and that the working directory is still there"
        ) from error


def check_header(path: Path) -> None:
    """Raise PoolError when there is no pool file at `path`, when it cannot be read, is no pool, or is of another version."""
    head = _head(path)
    if not head:
        raise PoolError(f"{shown(path)} is empty, not a pool", "delete it, or name another file")
    if len(head) < _SIZE or not head.startswith(_MAGIC):
        raise PoolError(f"{shown(path)} is not a pool: it is no SQLite database", _NAME_A_POOL)
    if int.from_bytes(head[_APPLICATION_ID]) != APPLICATION_ID:
        raise PoolError(f"{shown(path)} is a SQLite database of another program, not a pool", _NAME_A_POOL)
    _check_version(path, int.from_bytes(head[_USER_VERSION]))


def _check_version(path: Path, version: int) -> None:
    if version > VERSION:
        raise PoolError(
            f"pool {shown(path)} has version {version}, this studio knows versions up to {VERSION}",
            "it was written by a newer studio: upgrade self-instruct-studio",
        )
    # Version 0 has no tables yet, which is told apart.
    if 0 < version < VERSION:
        raise PoolError(
            f"pool {shown(path)} has version {version}, from before the first release; this studio knows version {VERSION}",
            "export it with the studio that wrote it, make a new pool, and `studio import` the file",
        )


def _head(path: Path) -> bytes:
    try:
        # A named pipe would block for ever when opened.
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder, not a pool" if path.is_dir() else "no file, but a device or a pipe"
            raise PoolError(f"{shown(path)} is {what}", "name the pool's file")
        with path.open("rb") as file:
            return file.read(_SIZE)
    except FileNotFoundError as error:
        raise PoolError(f"there is no pool at {shown(path)}", "`studio run POOL` makes one") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PoolError(f"cannot read {shown(path)}: {reason}", "check the path and its permissions") from error


def now() -> str:
    """Return the time as the pool writes it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class WriterLock:
    """The exclusive right to write a pool, from construction to `release`.

    Raises PoolInUse when another writer has it, naming that one, PoolError when the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        # thread_local: a pool may be opened in one thread and closed in another.
        self._lock: BaseFileLock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
        try:
            with warnings.catch_warnings():
                # That it falls back to a file which says who has the lock, where the file system has no locks.
                warnings.simplefilter("ignore", UserWarning)
                self._lock.acquire()
        except Timeout as error:
            raise _held(path, by_a_file=isinstance(self._lock, SoftFileLock)) from error
        # The second where Python has no `fcntl`.
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PoolError(
                f"cannot lock pool {shown(path)}: {reason}", "keep the pool in a folder that you may write, on a local disk"
            ) from error

    def release(self) -> None:
        """Give the right back. Safe to call twice."""
        self._lock.release()


@dataclass(frozen=True, slots=True)
class WriterRecord:
    """Who has a pool open for writing; `since` is an ISO 8601 time in UTC."""

    pid: int
    host: str
    since: str


def sign(database: Database) -> None:
    """Write down that this process writes the pool; call with the lock held."""
    with database.transaction():
        database.execute("DELETE FROM writer")
        database.insert_row("writer", {"id": 1, "pid": os.getpid(), "host": socket.gethostname(), "since": now()})


def sign_off(database: Database) -> None:
    """Remove this process's entry."""
    with database.transaction():
        database.execute("DELETE FROM writer")


def holder(database: Database) -> WriterRecord | None:
    """Return who signed last and has not signed off: the present writer, or one that was killed."""
    return database.record(WriterRecord, "SELECT pid, host, since FROM writer")


def _held(path: Path, *, by_a_file: bool) -> PoolInUse:
    hint = "wait until it ends or stop it; studio stats, show and export read the pool meanwhile"
    if by_a_file:
        # It outlives its process where nobody can look whether that runs: on another machine, and where nothing is written in it.
        hint = f"{hint}. The folder's file system has no locks: if no studio anywhere has the pool open, delete {shown(path)}.lock"
    try:
        database = connect_readable(path)
    except PoolError:
        return PoolInUse(f"pool {shown(path)} is being written by another process", hint)
    try:
        writer = holder(database)
    except PoolError:
        writer = None
    finally:
        database.close()
    if writer is None:
        return PoolInUse(f"pool {shown(path)} is being written by another process", hint)
    return PoolInUse(f"pool {shown(path)} is being written by process {writer.pid} on {writer.host} since {writer.since}", hint)


def checked(database: Database) -> Database:
    """Return `database` when its tables can be read and are of this version; otherwise close it and raise PoolError.

    The header cannot tell of a version that is still in the WAL file, nor of damage.
    """
    path = database.path
    try:
        _check_version(path, database.value("PRAGMA user_version"))
        if not database.row("SELECT 1 FROM sqlite_master WHERE name = 'tasks'"):
            raise PoolError(f"pool {shown(path)} is damaged: its tables are missing", "restore it from a copy, or name another file")
        database.row("SELECT count(*) FROM tasks WHERE id = 0")
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
    """Open the pool file at `path` for writing and sign as its writer; call with the lock held. Raises PoolError."""
    if path.with_name(path.name + "-wal").exists():
        # A killed writer's last commits. Looked at without the right to write first, since closing a writable connection would move them.
        checked(connect_readable(path)).close()
    database = checked(connect_writable(path))
    try:
        # Another tool may have switched it off.
        if database.value("PRAGMA journal_mode = WAL") != "wal":
            raise PoolError(f"pool {shown(path)} cannot be switched to WAL", "keep the pool on a local disk")
        sign(database)
    except BaseException:
        database.close()
        raise
    return database
