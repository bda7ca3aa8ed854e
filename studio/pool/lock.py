"""One writer a pool: a lock file beside it, which a dead process cannot hold, and a row that tells others who writes."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from studio.errors import PoolError, PoolInUse
from studio.paths import shown
from studio.pool.database import Database, connect_readable
from studio.pool.records import WriterRecord


def now() -> str:
    """Return the time as the pool writes it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class WriterLock:
    """The exclusive right to write a pool, from construction to `release`.

    Raises PoolInUse when another writer has it, naming that one, PoolError when the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        # thread_local: a pool may be opened in one thread and closed in another.
        self._lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise _held(path) from error
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PoolError(
                f"cannot lock pool {shown(path)}: {reason}", "keep the pool in a folder that you may write, on a local disk"
            ) from error

    def release(self) -> None:
        """Give the right back. Safe to call twice."""
        self._lock.release()


def sign(database: Database) -> None:
    """Write down that this process writes the pool; call with the lock held."""
    with database.transaction():
        database.execute("DELETE FROM writer")
        database.insert("writer", ("id", "pid", "host", "since"), [(1, os.getpid(), socket.gethostname(), now())])


def sign_off(database: Database) -> None:
    """Remove this process's entry."""
    with database.transaction():
        database.execute("DELETE FROM writer")


def holder(database: Database) -> WriterRecord | None:
    """Return who signed last and has not signed off: the present writer, or one that was killed."""
    row = database.row("SELECT pid, host, since FROM writer")
    return WriterRecord(*row) if row else None


def _held(path: Path) -> PoolInUse:
    hint = "wait until it ends or stop it; studio stats, show and export read the pool meanwhile"
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
