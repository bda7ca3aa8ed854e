"""A pool that is open: `Pool` writes it, each public method being exactly one transaction, and `Queries` asks it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from studio.engine.api import Completion
from studio.errors import PoolError
from studio.paths import shown
from studio.pool import writes
from studio.pool.actions.ledger import Ledger, LedgerQueries
from studio.pool.browse import BrowseQueries, ListQueries
from studio.pool.candidates import ScreenQueries, StoryQueries, WhatIfQueries
from studio.pool.core.create import build, check_place
from studio.pool.core.database import Database, Reader, connect_readable
from studio.pool.core.files import (
    WriterLock,
    check_header,
    check_permissions,
    checked,
    holder,
    now,
    open_writable,
    resolved,
    sign_off,
)
from studio.pool.core.rows import model_id
from studio.pool.figures import CountQueries, DiversityQueries, ProvenanceQueries, StatisticsQueries
from studio.pool.lineage import LineageQueries
from studio.pool.records import DecidedCandidate, DecidedInstance, PlannedRequest, RoundRecord, WriterRecord
from studio.pool.rounds import ProgressQueries, RoundQueries
from studio.pool.stream import ExportQueries, LintQueries
from studio.pool.studies.comparisons import ComparisonQueries, Comparisons
from studio.pool.studies.evaluations import EvaluationQueries, Evaluations
from studio.pool.studies.judges import Judgements, JudgeQueries
from studio.pool.studies.reviews import ReviewQueries, Reviews
from studio.pool.studies.trainings import TrainingQueries, Trainings
from studio.pool.tasks import TaskImport, TaskQueries, importing, insert_tasks, next_task_id
from studio.records import HoldOut, ModelIdentity, Origin, SeedTask, Stage
from studio.text import storable


class WatchQueries(Reader):
    """What a screen needs that stays open beside a session."""

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed to the pool; it says nothing else."""
        row = self._database.row("PRAGMA data_version")
        return int(row[0]) if row else 0

    def interrupt(self) -> None:
        """Make the question under way on this connection fail with PoolError. Any thread may call this, at any time."""
        self._database.connection.interrupt()


class Queries(
    RoundQueries,
    ProgressQueries,
    TaskQueries,
    StoryQueries,
    CountQueries,
    StatisticsQueries,
    DiversityQueries,
    ExportQueries,
    ListQueries,
    ScreenQueries,
    BrowseQueries,
    LedgerQueries,
    LineageQueries,
    WatchQueries,
    WhatIfQueries,
    LintQueries,
    ReviewQueries,
    JudgeQueries,
    ProvenanceQueries,
    TrainingQueries,
    EvaluationQueries,
    ComparisonQueries,
):
    """All questions one can ask of a pool. Every method raises PoolError when the file cannot be read."""

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

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


_ANALYSED_FROM = 20_000
"""Tasks from which on SQLite is told how much there is of what: the figures of a small pool would mislead it once the pool has grown."""


class Pool:
    """A pool that is open. Made by `create` and `open`, never directly.

    Every method raises PoolError when the pool cannot be written; nothing of the change is stored then, and the pool stays usable.
    """

    def __init__(self, path: Path, database: Database, lock: WriterLock | None) -> None:
        self.path = path
        self.reader = Queries(database)
        self.ledger = Ledger(database)
        self.reviews = Reviews(database)
        self.judgements = Judgements(database)
        self.trainings = Trainings(database)
        self.evaluations = Evaluations(database)
        self.comparisons = Comparisons(database)
        self._database = database
        self._lock = lock

    @staticmethod
    def create(path: Path, seeds: Sequence[SeedTask], held: HoldOut | None = None) -> Pool:
        """Make a new pool that holds `seeds`, those of `held` kept apart for evaluation, and open it for writing.

        Raises PoolError when something is there already, when the folder is missing or cannot be written, when the disk is full.
        """
        check_place(path)
        place = resolved(path)
        lock = WriterLock(place)
        try:
            build(place, seeds, held)
            return Pool(path, open_writable(place), lock)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def open(path: Path, *, writable: bool = True) -> Pool:
        """Open the pool at `path`.

        Raises PoolError when it is missing, no pool, of another version, damaged, locked, not writable though `writable`, or when another
        process writes it. The file is unchanged then.
        """
        place = resolved(path)
        check_header(place)
        if not writable:
            return Pool(path, checked(connect_readable(place)), None)
        check_permissions(place)
        lock = WriterLock(place)
        try:
            return Pool(path, open_writable(place), lock)
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Close the pool and let others write. Safe to call twice."""
        if self._lock is not None:
            # A full disk must not keep the pool from closing: the row left behind only names a writer that the free lock disproves.
            with suppress(PoolError):
                sign_off(self._database)
                if next_task_id(self._database) > _ANALYSED_FROM:
                    self._database.optimize()
        self._database.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start_run(self, settings: str, seed: str, studio_version: str, model: ModelIdentity) -> int:
        """Store a new run and return its id. `settings` is canonical JSON."""
        with self._database.transaction():
            values = (storable(settings), storable(seed), studio_version, model_id(self._database, model), now())
            sql = "INSERT INTO runs (settings, seed, studio_version, model_id, started_at) VALUES (?, ?, ?, ?, ?) RETURNING id"
            return int(self._database.execute(sql, values).fetchone()[0])

    def begin_round(self, run_id: int) -> RoundRecord:
        """Return the unfinished round of this run, or begin the next one at its first stage.

        Raises PoolError when the unfinished round is of another run.
        """
        with self._database.transaction():
            unfinished = self.reader.open_round()
            if unfinished is not None:
                if unfinished.run_id != run_id:
                    raise PoolError(
                        f"round {unfinished.number} of pool {shown(self.path)} belongs to run {unfinished.run_id} and is not finished",
                        "go on with that run's settings until the round is done",
                    )
                return unfinished
            sql = (
                "INSERT INTO rounds (run_id, number, stage, started_at)"
                " VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM rounds), ?, ?) RETURNING id, number"
            )
            found, number = self._database.execute(sql, (run_id, Stage.SAMPLE.value, now())).fetchone()
            return RoundRecord(id=found, run_id=run_id, number=number, stage=Stage.SAMPLE)

    def plan_requests(self, round_id: int, stage: Stage, requests: Sequence[PlannedRequest], next_stage: Stage | None) -> None:
        """Store the requests of a stage before they go to the engine; their positions are their ordinals.

        `next_stage` is the stage the round is at afterwards, None to leave it.
        """
        with self._database.transaction():
            writes.insert_requests(self._database, round_id, stage, requests)
            writes.advance(self._database, round_id, next_stage)

    def store_completions(self, round_id: int, stage: Stage, completions: Sequence[Completion], next_stage: Stage | None) -> None:
        """Store what came back for a stage, one completion for each of its requests, in their order.

        Raises ValueError when there are more or fewer completions than requests.
        """
        with self._database.transaction():
            requests = writes.request_ids(self._database, round_id, stage)
            writes.insert_completions(self._database, requests, completions)
            writes.advance(self._database, round_id, next_stage)

    def store_answers(self, round_id: int, answers: Sequence[tuple[int, Completion]], next_stage: Stage | None) -> None:
        """Store what came back for some requests of a stage, each with the request's id."""
        with self._database.transaction():
            writes.insert_completions(self._database, [request for request, _ in answers], [completion for _, completion in answers])
            writes.advance(self._database, round_id, next_stage)

    def replan_requests(
        self, round_id: int, stage: Stage, changed: Sequence[tuple[int, PlannedRequest]], more: Sequence[PlannedRequest]
    ) -> None:
        """Put other prompts in the place of planned ones, by their ids, that were not answered yet, and add `more` behind them."""
        with self._database.transaction():
            for request_id, planned in changed:
                writes.update_request(self._database, request_id, planned)
            taken = len(writes.request_ids(self._database, round_id, stage))
            writes.insert_requests(self._database, round_id, stage, more, taken)
            writes.advance(self._database, round_id, None)

    def next_task_id(self) -> int:
        """Return the id of the next new task; accepted candidates of a batch are numbered from it, in order."""
        return next_task_id(self._database)

    def record_candidates(self, round_id: int, decided: Sequence[DecidedCandidate], next_stage: Stage) -> None:
        """Store candidates with their decisions, and for each accepted one its neighbours and a draft task with the id it carries.

        Raises ValueError when an accepted candidate has no task id or a rejected one has.
        """
        with self._database.transaction():
            writes.insert_candidates(self._database, round_id, decided)
            writes.advance(self._database, round_id, next_stage)

    def record_classifications(self, round_id: int, answers: Sequence[tuple[int, bool]], next_stage: Stage) -> None:
        """Store for each draft task (its id, whether it is a classification task)."""
        with self._database.transaction():
            writes.update_classifications(self._database, round_id, answers)
            writes.advance(self._database, round_id, next_stage)

    def record_instances(self, round_id: int, instances: Sequence[DecidedInstance], next_stage: Stage) -> None:
        """Store instances with their verdicts, rejected ones too; their order within a task is their position."""
        with self._database.transaction():
            writes.insert_instances(self._database, instances)
            writes.advance(self._database, round_id, next_stage)

    def commit_round(self, round_id: int) -> None:
        """Finish the round: its drafts become active tasks of the pool."""
        with self._database.transaction():
            writes.finish(self._database, round_id)

    def abandon_round(self, round_id: int) -> None:
        """Finish a round that nobody will go on with: its drafts are kept, retired, and never sampled or exported."""
        with self._database.transaction():
            writes.abandon(self._database, round_id)

    def add_tasks(self, tasks: Iterable[SeedTask], origin: Origin) -> int:
        """Add active tasks from elsewhere and return how many; an error in the middle of `tasks` leaves none."""
        with self._database.transaction():
            return insert_tasks(self._database, tasks, origin)

    def importing(self, origin: Origin) -> AbstractContextManager[TaskImport]:
        """Give a way to bring tasks from elsewhere one by one, each instruction once; they are all there after the block, or none."""
        return importing(self._database, origin)
