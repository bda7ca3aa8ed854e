"""Writing whole tasks, as seed files and imports bring them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from studio.pool.database import Database
from studio.records import Decider, Origin, SeedTask, TaskState, Verdict
from studio.text import storable

GIVEN = "valid"
"""The reason code of instances that came with their task: nobody judged them, they count as valid."""

_CHUNK = 1000
_TASK = ("id", "origin", "state", "key", "name", "instruction", "is_classification")
_INSTANCE = ("task_id", "position", "input", "output", "verdict", "reason", "decided_by")


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
        numbered = list(enumerate(chunk, start=task_id))
        database.insert("tasks", _TASK, (_task_row(number, task, origin) for number, task in numbered))
        database.insert("instances", _INSTANCE, (row for number, task in numbered for row in _instance_rows(number, task)))
        task_id += len(chunk)
    return task_id - first


def _task_row(task_id: int, task: SeedTask, origin: Origin) -> tuple[Any, ...]:
    texts = (storable(task.key), storable(task.name), storable(task.instruction))
    return (task_id, origin.value, TaskState.ACTIVE.value, *texts, int(task.is_classification))


def _instance_rows(task_id: int, task: SeedTask) -> Iterator[tuple[Any, ...]]:
    for position, instance in enumerate(task.instances):
        texts = (storable(instance.input), storable(instance.output))
        yield (task_id, position, *texts, Verdict.ACCEPTED.value, GIVEN, Decider.RULE.value)
