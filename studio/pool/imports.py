"""Bringing whole tasks into a pool: seeds when it is made, imports that join what is there, and the files that they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any

from studio.pool.database import Database, Entity
from studio.pool.files import now
from studio.pool.instances import Instances, stored_texts
from studio.pool.preferences import DISPREFERRED
from studio.records import Decider, Instance, Origin, SeedTask, TaskState, Verdict


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file that was read whole, and what it brought.

    `name` is its own without its folder, or of one of the hub `hf:owner/name@commit:file`. `licence` is what the hub says of it, empty
    where nobody has said; `mapping` says where the fields of a task were found in it, empty where its keys did. `sha256` and `size`, in
    bytes, are of the file as it is stored. Of its `records` came `tasks` that were new; `joined` instances went to tasks that were there.
    `imported_at` is an ISO 8601 time in UTC, empty until it is in a pool.
    """

    name: str
    origin: Origin
    format: str
    sha256: str
    size: int
    records: int
    tasks: int
    joined: int = 0
    licence: str = ""
    mapping: str = ""
    imported_at: str = ""


def insert_imports(database: Database, files: tuple[ImportedFile, ...]) -> None:
    """Note that the tasks of `files` are brought now. Within the transaction that brings them."""
    at = now()
    database.insert("imports", ({**asdict(each), "imported_at": at} for each in files))


class Imports(Entity):
    """The files that were brought into a pool."""

    def all(self) -> list[ImportedFile]:
        """Return them in the order in which they came."""
        return self._database.records(ImportedFile, "SELECT * FROM imports ORDER BY id")


GIVEN = "valid"
"""The reason code of instances that came with their task: nobody judged them, they count as valid."""

_HELD = tuple(each.name for each in fields(SeedTask) if each.name not in ("instances", "pairs"))
"""The columns of `tasks` that a task brings along."""

_CHUNK = 1000
_LONG = 20
"""Instances of a task beyond which it waits for no more."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a task that was brought: `new`, or `joined` instances to a task of the same instruction.

    `refused` instances went nowhere, because the task of this instruction is not one they may join. `worse` answers of pairs are kept.
    """

    new: bool = False
    joined: int = 0
    refused: int = 0
    worse: int = 0


class TaskImport:
    """Bringing tasks into a pool within one transaction, each instruction once, white space aside.

    A task whose instruction is there gives its other instances to that task, where it is active, of the same origin and not held out: what
    a model wrote or an evaluation needs stays as it is. What is there is known by digests in a temporary table, so that memory does not
    grow with the pool or the file.
    """

    def __init__(self, database: Database, origin: Origin) -> None:
        self._database = database
        self._origin = origin
        self._next = next_task_id(database)
        self._waiting: list[tuple[int, SeedTask]] = []
        # In KiB: of the default of 2 MB much is written over and over again.
        database.execute("PRAGMA cache_size = -32768")
        database.execute("PRAGMA temp.cache_size = -32768")
        # `positions` is the next position of an instance, null until it is asked for.
        database.execute(
            "CREATE TEMP TABLE import_tasks (digest BLOB PRIMARY KEY, task_id INTEGER NOT NULL, open INTEGER NOT NULL, positions INTEGER)"
            " WITHOUT ROWID"
        )
        database.execute("CREATE TEMP TABLE import_instances (digest BLOB PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID")
        sql = """
            SELECT instruction, id, origin = ? AND state = 'active' AND NOT held_out AS open FROM tasks
            WHERE compared AND id > ? ORDER BY id LIMIT ?"""
        last = 0
        while rows := database.rows(sql, (origin, last, _CHUNK)):
            database.connection.executemany(
                "INSERT INTO temp.import_tasks VALUES (?, ?, ?, NULL)"
                " ON CONFLICT DO UPDATE SET task_id = excluded.task_id, open = excluded.open WHERE excluded.open > open",
                [(_digest(" ".join(text.split())), task_id, is_open) for text, task_id, is_open in rows],
            )
            last = rows[-1]["id"]

    def add(self, task: SeedTask) -> Added:
        """Bring one task, and return what became of it."""
        digest = _digest(" ".join(task.instruction.split()))
        new_one = "INSERT INTO temp.import_tasks VALUES (?, ?, 1, NULL) ON CONFLICT DO NOTHING"
        if self._database.execute(new_one, (digest, self._next)).rowcount == 1:
            once = task
            if len(task.instances) + len(task.pairs) > 1:
                once = replace(task, instances=tuple(dict.fromkeys(task.instances)), pairs=tuple(dict.fromkeys(task.pairs)))
            self._waiting.append((self._next, once))
            self._next += 1
            if len(self._waiting) >= _CHUNK:
                self.flush()
            return Added(new=True, worse=len(once.pairs))
        task_id, is_open, positions = self._known(digest)
        if self._waiting and (place := task_id - self._waiting[0][0]) >= 0:
            if (joined := self._join_waiting(place, task)) is not None:
                return joined
            self.flush()
        if positions is None:
            positions = self._learn(task_id)
        new = [each for each in dict.fromkeys(task.instances) if self._place(task_id, each) is None]
        if not is_open:
            return Added(refused=len(new) + len(task.pairs))
        for position, each in enumerate(new, positions):
            self._take_down(task_id, each, position)
        rows = [*_instance_rows(task_id, new, positions)]
        rows += _worse_rows(task_id, self._new_pairs(task_id, task.pairs), positions + len(rows))
        for row in rows:
            # One by one: they are few, and setting up an insertion of many costs more than they do.
            self._database.insert_row("instances", row)
        self._database.execute("UPDATE temp.import_tasks SET positions = ? WHERE digest = ?", (positions + len(rows), digest))
        if task.is_classification is not None:
            sql = "UPDATE tasks SET is_classification = ? WHERE id = ? AND is_classification IS NULL"
            self._database.execute(sql, (task.is_classification, task_id))
        return Added(joined=len(new), worse=len(rows) - len(new))

    def _join_waiting(self, place: int, task: SeedTask) -> Added | None:
        """Give instances to a task that is not written yet; None where it has to be: it has worse answers, or has become long."""
        number, first = self._waiting[place]
        if first.pairs or task.pairs or len(first.instances) >= _LONG:
            return None
        known = {digest for each in first.instances for digest in _instance_digests(number, each, None)}
        new = [each for each in dict.fromkeys(task.instances) if _instance_digests(number, each, None)[0] not in known]
        flag = task.is_classification if first.is_classification is None else first.is_classification
        self._waiting[place] = (number, replace(first, instances=(*first.instances, *new), is_classification=flag))
        return Added(joined=len(new))

    def note(self, file: ImportedFile) -> None:
        """Note a file that has been brought."""
        insert_imports(self._database, (file,))

    def _known(self, digest: bytes) -> tuple[int, int, int | None]:
        found = self._database.row("SELECT task_id, open, positions FROM temp.import_tasks WHERE digest = ?", (digest,))
        assert found is not None
        return found["task_id"], found["open"], found["positions"]

    def flush(self) -> None:
        """Write the tasks that wait for others to be written with."""
        if self._waiting:
            _insert_numbered(self._database, self._waiting, self._origin)
            self._waiting.clear()

    def finish(self) -> None:
        """Write all that waits, and leave nothing but the tasks."""
        self.flush()
        self._database.execute("DROP TABLE temp.import_tasks")
        self._database.execute("DROP TABLE temp.import_instances")

    def _learn(self, task_id: int) -> int:
        """Take down the instances of a task, as they are and as they were before a person changed them; return the next position."""
        there = Instances(self._database).of_task(task_id)
        for each in there:
            known = Instance(each.input, each.output, each.thoughts or "", each.system, each.turns)
            self._take_down(task_id, known, each.position, each.lost_to)
            if each.original is not None:
                self._take_down(task_id, replace(known, input=each.original.input, output=each.original.output), each.position)
        return max((each.position for each in there), default=-1) + 1

    def _new_pairs(self, task_id: int, pairs: Iterable[tuple[Instance, Instance]]) -> list[tuple[int, Instance]]:
        """Return the worse answers that are not there yet, each with the position of the better one, and take them down."""
        new = []
        for better, worse in dict.fromkeys(pairs):
            place = self._place(task_id, better)
            assert place is not None, "the better answer of a pair is an instance of its task"
            if self._place(task_id, worse, place) is None:
                self._take_down(task_id, worse, 0, place)
                new.append((place, worse))
        return new

    def _place(self, task_id: int, instance: Instance, lost_to: int | None = None) -> int | None:
        """Return the position of an instance, or of a worse answer than another, that was taken down; None for one that was not."""
        digest, _ = _instance_digests(task_id, instance, lost_to)
        place: int | None = self._database.value("SELECT position FROM temp.import_instances WHERE digest = ?", (digest,))
        return place

    def _take_down(self, task_id: int, instance: Instance, position: int, lost_to: int | None = None) -> None:
        # The same without its thoughts would bring nothing: most formats have no place for them.
        for each in {*_instance_digests(task_id, instance, lost_to)}:
            self._database.execute("INSERT OR IGNORE INTO temp.import_instances VALUES (?, ?)", (each, position))


def _instance_digests(task_id: int, instance: Instance, lost_to: int | None) -> tuple[bytes, bytes]:
    """Return what an instance is known by, and what it would be known by without its thoughts."""
    texts = stored_texts(instance)
    known = _digest(json.dumps((task_id, lost_to, *texts.values())))
    if texts["thoughts"] is None:
        return known, known
    return known, _digest(json.dumps((task_id, lost_to, *{**texts, "thoughts": None}.values())))


def next_task_id(database: Database) -> int:
    """Return the id that the next task of the pool gets; ids are never used twice."""
    return int(database.value("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'") or 0) + 1


def insert_tasks(database: Database, tasks: Iterable[SeedTask], origin: Origin) -> int:
    """Insert active tasks and their instances, in order and in constant memory; return how many. Within a transaction."""
    task_id = next_task_id(database)
    first = task_id
    remaining = iter(tasks)
    while chunk := list(islice(remaining, _CHUNK)):
        _insert_numbered(database, list(enumerate(chunk, start=task_id)), origin)
        task_id += len(chunk)
    return task_id - first


def _insert_numbered(database: Database, numbered: Sequence[tuple[int, SeedTask]], origin: Origin) -> None:
    came = {"origin": origin, "state": TaskState.ACTIVE}
    tasks = (
        {"id": number, **came, **{name: getattr(task, name) for name in _HELD}, "provenance": task.provenance or None}
        for number, task in numbered
    )
    database.insert("tasks", tasks)
    database.insert("instances", (row for number, task in numbered for row in _rows_of(number, task)))


def _rows_of(task_id: int, task: SeedTask) -> Iterator[dict[str, Any]]:
    yield from _instance_rows(task_id, task.instances)
    pairs = [(task.instances.index(better), worse) for better, worse in task.pairs]
    yield from _worse_rows(task_id, pairs, len(task.instances))


def _instance_rows(task_id: int, instances: Sequence[Instance], first: int = 0) -> Iterator[dict[str, Any]]:
    given = {"verdict": Verdict.ACCEPTED, "reason": GIVEN, "decided_by": Decider.RULE, "lost_to": None}
    for position, instance in enumerate(instances, first):
        yield {"task_id": task_id, "position": position, **given, **stored_texts(instance)}


def _worse_rows(task_id: int, pairs: Sequence[tuple[int, Instance]], first: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of worse answers, each given with the position of the better one."""
    for position, (place, worse) in enumerate(pairs, first):
        decided = {"verdict": Verdict.REJECTED, "reason": DISPREFERRED, "decided_by": Decider.RULE, "lost_to": place}
        yield {"task_id": task_id, "position": position, **decided, **stored_texts(worse)}


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
