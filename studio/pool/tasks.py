"""Writing whole tasks, as seed files and imports bring them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from studio.pool.database import Database
from studio.records import Decider, Instance, Origin, SeedTask, TaskState, Verdict
from studio.text import storable

GIVEN = "valid"
"""The reason code of instances that came with their task: nobody judged them, they count as valid."""

_CHUNK = 1000
_TASK = ("id", "origin", "state", "key", "name", "instruction", "is_classification")
_INSTANCE = ("task_id", "position", "input", "output", "verdict", "reason", "decided_by")
_JOIN = f"INSERT INTO instances ({', '.join(_INSTANCE)}) VALUES ({', '.join('?' * len(_INSTANCE))})"


def next_task_id(database: Database) -> int:
    """Return the id that the next task of the pool gets; ids are never used twice."""
    row = database.row("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'")
    return int(row[0]) + 1 if row else 1


def insert_tasks(database: Database, tasks: Iterable[SeedTask], origin: Origin) -> int:
    """Insert active tasks and their instances, in order and in constant memory; return how many. Within a transaction."""
    task_id = next_task_id(database)
    first = task_id
    remaining = iter(tasks)
    while chunk := list(islice(remaining, _CHUNK)):
        _insert_numbered(database, list(enumerate(chunk, start=task_id)), origin)
        task_id += len(chunk)
    return task_id - first


def _task_row(task_id: int, task: SeedTask, origin: Origin) -> tuple[Any, ...]:
    texts = (storable(task.key), storable(task.name), storable(task.instruction))
    return (task_id, origin.value, TaskState.ACTIVE.value, *texts, None if task.is_classification is None else int(task.is_classification))


def _instance_rows(task_id: int, task: SeedTask, first: int = 0) -> Iterator[tuple[Any, ...]]:
    for position, instance in enumerate(task.instances, first):
        texts = (storable(instance.input), storable(instance.output))
        yield (task_id, position, *texts, Verdict.ACCEPTED.value, GIVEN, Decider.RULE.value)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a task that was brought: `new`, or `joined` instances to a task of the same instruction.

    `refused` instances went nowhere, because the task of this instruction is not one they may join.
    """

    new: bool = False
    joined: int = 0
    refused: int = 0


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
        database.execute("PRAGMA temp.cache_size = -32768")
        # `positions` is the next position of an instance, null until it is asked for.
        database.execute(
            "CREATE TEMP TABLE import_tasks (digest BLOB PRIMARY KEY, task_id INTEGER NOT NULL, open INTEGER NOT NULL, positions INTEGER)"
            " WITHOUT ROWID"
        )
        database.execute("CREATE TEMP TABLE import_instances (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        sql = (
            "SELECT instruction, id, origin = ? AND state = 'active' AND NOT held_out AS open FROM tasks"
            " WHERE compared AND id > ? ORDER BY id LIMIT ?"
        )
        last = 0
        while rows := database.rows(sql, (origin.value, last, _CHUNK)):
            database.connection.executemany(
                "INSERT INTO temp.import_tasks VALUES (?, ?, ?, NULL)"
                " ON CONFLICT DO UPDATE SET task_id = excluded.task_id, open = excluded.open WHERE excluded.open > open",
                [(_digest(" ".join(text.split())), task_id, is_open) for text, task_id, is_open in rows],
            )
            last = rows[-1][1]

    def add(self, task: SeedTask) -> Added:
        """Bring one task, and return what became of it."""
        digest = _digest(" ".join(task.instruction.split()))
        found = self._database.row("SELECT task_id, open, positions FROM temp.import_tasks WHERE digest = ?", (digest,))
        if found is None:
            self._database.execute("INSERT INTO temp.import_tasks VALUES (?, ?, 1, NULL)", (digest, self._next))
            self._waiting.append((self._next, replace(task, instances=tuple(dict.fromkeys(task.instances)))))
            self._next += 1
            if len(self._waiting) >= _CHUNK:
                self.flush()
            return Added(new=True)
        task_id, is_open, positions = found
        self.flush()
        if positions is None:
            positions = self._learn(task_id)
        new = [each for each in dict.fromkeys(task.instances) if self._is_new(task_id, each, keep=bool(is_open))]
        if not is_open:
            return Added(refused=len(new))
        for row in _instance_rows(task_id, replace(task, instances=tuple(new)), positions):
            self._database.execute(_JOIN, row)
        self._database.execute("UPDATE temp.import_tasks SET positions = ? WHERE digest = ?", (positions + len(new), digest))
        if task.is_classification is not None:
            sql = "UPDATE tasks SET is_classification = ? WHERE id = ? AND is_classification IS NULL"
            self._database.execute(sql, (int(task.is_classification), task_id))
        return Added(joined=len(new))

    def flush(self) -> None:
        """Write the tasks that wait for others to be written with."""
        _insert_numbered(self._database, self._waiting, self._origin)
        self._waiting.clear()

    def finish(self) -> None:
        """Write all that waits, and leave nothing but the tasks."""
        self.flush()
        self._database.execute("DROP TABLE temp.import_tasks")
        self._database.execute("DROP TABLE temp.import_instances")

    def _learn(self, task_id: int) -> int:
        """Take down the instances of a task, as they are and as they were before a person changed them; return the next position."""
        rows = self._database.rows("SELECT position, input, output, original FROM instances WHERE task_id = ?", (task_id,))
        for _, given, output, original in rows:
            self._is_new(task_id, Instance(given, output), keep=True)
            if original is not None:
                first = json.loads(original)
                self._is_new(task_id, Instance(first["input"], first["output"]), keep=True)
        return max((row[0] for row in rows), default=-1) + 1

    def _is_new(self, task_id: int, instance: Instance, *, keep: bool) -> bool:
        digest = _digest(json.dumps((task_id, storable(instance.input), storable(instance.output))))
        if not keep:
            return self._database.row("SELECT 1 FROM temp.import_instances WHERE digest = ?", (digest,)) is None
        return self._database.execute("INSERT OR IGNORE INTO temp.import_instances VALUES (?)", (digest,)).rowcount > 0


@contextmanager
def importing(database: Database, origin: Origin) -> Iterator[TaskImport]:
    """Give a `TaskImport`; all that it brought is in the pool when the block ends, or nothing of it when it ends in an error."""
    with database.transaction():
        adding = TaskImport(database, origin)
        yield adding
        adding.finish()


def _insert_numbered(database: Database, numbered: Sequence[tuple[int, SeedTask]], origin: Origin) -> None:
    if numbered:
        database.insert("tasks", _TASK, (_task_row(number, task, origin) for number, task in numbered))
        database.insert("instances", _INSTANCE, (row for number, task in numbered for row in _instance_rows(number, task)))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
