"""Making a new pool file: built beside, complete before it gets its name."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.bringing import insert_tasks
from studio.pool.core.database import Database, explained
from studio.pool.core.files import APPLICATION_ID, VERSION
from studio.pool.imports import ImportedFile, insert_imports
from studio.pool.studies.evaluations import hold_out
from studio.records import HoldOut, Origin, SeedTask

SCHEMA = Path(__file__).parents[1] / "schema.sql"
"""Every table, index, trigger and view of a pool."""

_ELSEWHERE = "name a pool in a folder that exists and that you may write"


def check_place(path: Path) -> None:
    """Raise PoolError when no new pool can be made at `path`."""
    try:
        _check_place(path, path.parent)
    except OSError as error:
        raise PoolError(f"cannot make {shown(path)}: {error.strerror or error}", _ELSEWHERE) from error


def _check_place(path: Path, folder: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise PoolError(f"{shown(path)} is a link to {shown(path.readlink())}, which is not there", "delete the link, or name another file")
    if os.path.lexists(path):
        raise PoolError(f"{shown(path)} already exists", "open it, or name a new file")
    if not folder.is_dir():
        raise PoolError(f"folder {shown(folder)} does not exist", _ELSEWHERE)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PoolError(f"folder {shown(folder)} cannot be written", _ELSEWHERE)


def build(path: Path, seeds: Iterable[SeedTask], held: HoldOut | None = None, files: Sequence[ImportedFile] = ()) -> None:
    """Make a pool file at `path` that holds `seeds`, those of `held` kept apart; they come from `files`.

    It appears there complete or not at all, and never over another file.

    Raises PoolError. What a killed build leaves behind is a file `.studio-*.new` that nothing ever looks at.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".studio-", suffix=".new", dir=path.parent)
    except OSError as error:
        raise PoolError(f"cannot make {shown(path)}: {error.strerror or error}", _ELSEWHERE) from error
    os.close(handle)
    draft = Path(name)
    try:
        _fill(draft, path, seeds, held, files)
        _publish(draft, path)
    except OSError as error:
        hint = "check the disk's free space and the folder's permissions"
        raise PoolError(f"cannot make {shown(path)}: {error.strerror or error}", hint) from error
    finally:
        for leftover in (draft, *(draft.with_name(draft.name + ending) for ending in ("-journal", "-wal", "-shm"))):
            leftover.unlink(missing_ok=True)


def _fill(draft: Path, path: Path, seeds: Iterable[SeedTask], held: HoldOut | None, files: Sequence[ImportedFile]) -> None:
    # mkstemp gives the owner alone; a pool gets what any new file gets.
    mask = os.umask(0)
    os.umask(mask)
    draft.chmod(0o666 & ~mask)
    with explained(path):
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};\n{SCHEMA.read_text('utf-8')}\nCOMMIT;"
            )
            connection.execute("PRAGMA foreign_keys = ON")
            database = Database(draft, connection, writable=True)
            with database.transaction():
                insert_tasks(database, seeds, Origin.SEED)
                insert_imports(database, tuple(files))
                if held:
                    hold_out(database, held)
            # Last, so that nothing is left in a WAL file under the temporary name.
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()


def _publish(draft: Path, path: Path) -> None:
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    try:
        # A link refuses to replace what is there; a rename would not.
        path.hardlink_to(draft)
    except FileExistsError as error:
        raise PoolError(f"{shown(path)} already exists", "open it, or name a new file") from error
    except OSError:
        # A file system without links, exFAT for one: the writer lock keeps other studios away between look and rename.
        check_place(path)
        draft.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Some file systems refuse to sync a folder; the pool is complete all the same.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
