"""A pool that is open: each kind of thing in it is an object that reads and writes it, `pool.tasks`, `pool.rounds`, `pool.reviews`.

    with Pool.open(path) as pool:
        for task in pool.tasks.many(pool.tasks.newest(10)):
            print(task.instruction)
        pool.ledger.set_retired(Note("retire", "retired task 7"), 7, retired=True)

Every method that writes is exactly one transaction, so a stage is stored whole or not at all, and raises PoolError when the pool cannot be
written; nothing of the change is stored then, and the pool stays usable. Every method raises PoolError when the file cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from studio.errors import PoolError
from studio.pool.actions.ledger import Ledger
from studio.pool.browse import Browse
from studio.pool.candidates import Candidates
from studio.pool.core.create import build, check_place
from studio.pool.core.database import Database, connect_readable
from studio.pool.core.files import (
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
from studio.pool.documents import Documents
from studio.pool.figures import Figures
from studio.pool.imports import ImportedFile, Imports
from studio.pool.instances import Instances
from studio.pool.lineage import Lineage
from studio.pool.requests import Requests
from studio.pool.rounds import Rounds, Runs
from studio.pool.stream import Stream
from studio.pool.studies.comparisons import Comparisons
from studio.pool.studies.evaluations import Evaluations
from studio.pool.studies.judges import Judges
from studio.pool.studies.reviews import Reviews
from studio.pool.studies.trainings import Trainings
from studio.pool.tasks import Tasks
from studio.records import HoldOut, SeedTask

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
