"""A pool that is open: each kind of thing in it is an object that reads and writes it, `pool.tasks`, `pool.rounds`, `pool.reviews`.

    with Pool.open(path) as pool:
        for task in pool.tasks.many(pool.tasks.newest(10)):
            print(task.instruction)
        pool.ledger.set_retired(Note("retire", "retired task 7"), 7, retired=True)

Every method that writes is exactly one transaction, so a stage is stored whole or not at all, and raises PoolError when the pool cannot be
written; nothing of the change is stored then, and the pool stays usable. Every method raises PoolError when the file cannot be read.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.browse import Browse
from studio.pool.candidates import Candidates
from studio.pool.database import Database, connect_readable, explained
from studio.pool.documents import Documents
from studio.pool.evaluations import Comparisons, Evaluations, hold_out
from studio.pool.figures import Figures
from studio.pool.files import (
    APPLICATION_ID,
    VERSION,
    WriterLock,
    WriterRecord,
    check_header,
    check_permissions,
    checked,
    holder,
    open_writable,
    resolved,
    sign_off,
)
from studio.pool.imports import ImportedFile, Imports, insert_imports, insert_tasks
from studio.pool.instances import Instances
from studio.pool.ledger import Ledger
from studio.pool.lineage import Lineage
from studio.pool.requests import Requests
from studio.pool.reviews import Judges, Reviews
from studio.pool.rounds import Rounds, Runs
from studio.pool.stream import Stream
from studio.pool.tasks import Tasks
from studio.pool.trainings import Trainings
from studio.records import HoldOut, Origin, SeedTask

_ANALYSED_FROM = 20_000
"""Tasks from which on SQLite is told how much there is of what: the figures of a small pool would mislead it once the pool has grown."""


class Queries:
    """A pool opened for reading: what would write raises PoolError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = Runs(database)
        self.rounds = Rounds(database)
        self.tasks = Tasks(database)
        self.instances = Instances(database)
        self.imports = Imports(database)
        self.requests = Requests(database)
        self.documents = Documents(database)
        self.candidates = Candidates(database)
        self.browse = Browse(database)
        self.lineage = Lineage(database)
        self.figures = Figures(database)
        self.stream = Stream(database)
        self.ledger = Ledger(database)
        self.reviews = Reviews(database)
        self.comparisons = Comparisons(database)
        self.judges = Judges(database)
        self.trainings = Trainings(database)
        self.evaluations = Evaluations(database)

    @staticmethod
    def open(path: Path) -> Queries:
        """Open the pool at `path` for reading, on a connection of its own, beside a writer if there is one.

        Raises PoolError when it is missing, no pool, of another version, damaged or locked. Close it after use.
        """
        place = resolved(path)
        check_header(place)
        return Queries(checked(connect_readable(place)))

    def writer(self) -> WriterRecord | None:
        """Return who signed as the writer last and has not signed off: the present one, or one that was killed."""
        return holder(self._database)

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed to the pool; it says nothing else."""
        return int(self._database.value("PRAGMA data_version"))

    def one_state(self) -> AbstractContextManager[None]:
        """Let all questions of a block be answered from one state of the pool. For read-only connections; the writer sees its own state."""
        return self._database.snapshot()

    def interrupt(self) -> None:
        """Make the question under way on this connection fail with PoolError. Any thread may call this, at any time."""
        self._database.connection.interrupt()

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Pool(Queries):
    """A pool that is open for writing. Made by `create` and `open`, never directly."""

    def __init__(self, path: Path, database: Database, lock: WriterLock) -> None:
        super().__init__(database)
        self.path = path
        self._lock: WriterLock | None = lock

    @staticmethod
    def create(path: Path, seeds: Sequence[SeedTask], held: HoldOut | None = None, files: Sequence[ImportedFile] = ()) -> Pool:
        """Make a new pool that holds `seeds`, those of `held` kept apart for evaluation, and open it for writing. They come from `files`.

        Raises PoolError when something is there already, when the folder is missing or cannot be written, when the disk is full.
        """
        check_place(path)
        place = resolved(path)
        lock = WriterLock(place)
        try:
            build(place, seeds, held, files)
            return Pool(path, open_writable(place), lock)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def open(path: Path) -> Pool:
        """Open the pool at `path`.

        Raises PoolError when it is missing, no pool, of another version, damaged, locked, not writable, or when another process writes it.
        The file is unchanged then.
        """
        place = resolved(path)
        check_header(place)
        check_permissions(place)
        lock = WriterLock(place)
        try:
            return Pool(path, open_writable(place), lock)
        except BaseException:
            lock.release()
            raise

    def discard(self) -> None:
        """Take the file away that `create` has made, while nobody else can have written it; then close the pool."""
        place = resolved(self.path)
        for ending in ("", "-wal", "-shm"):
            place.with_name(place.name + ending).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the pool and let others write. Safe to call twice."""
        if self._lock is not None:
            # A full disk must not keep the pool from closing: the row left behind only names a writer that the free lock disproves.
            with suppress(PoolError):
                sign_off(self._database)
                if self.tasks.next_id() > _ANALYSED_FROM:
                    self._database.optimize()
        super().close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


SCHEMA = Path(__file__).with_name("schema.sql")
"""Every table, index, trigger and view of a pool."""

_ELSEWHERE = "name a pool in a folder that exists and that you may write"


def check_place(path: Path) -> None:
    """Raise PoolError when no new pool can be made at `path`."""
    folder = path.parent
    try:
        if path.is_symlink() and not path.exists():
            gone = f"{shown(path)} is a link to {shown(path.readlink())}, which is not there"
            raise PoolError(gone, "delete the link, or name another file")
        if os.path.lexists(path):
            raise PoolError(f"{shown(path)} already exists", "open it, or name a new file")
        if not folder.is_dir():
            raise PoolError(f"folder {shown(folder)} does not exist", _ELSEWHERE)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PoolError(f"folder {shown(folder)} cannot be written", _ELSEWHERE)
    except OSError as error:
        raise PoolError(f"cannot make {shown(path)}: {error.strerror or error}", _ELSEWHERE) from error


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
