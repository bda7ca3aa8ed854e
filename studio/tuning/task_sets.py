"""The tasks that are evaluated on: the seeds a pool holds out, or those of a file."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from studio.errors import PoolError, UsageError
from studio.pool.pool import Queries
from studio.pool.studies.evaluations import EvaluationItem
from studio.records import Instance
from studio.seeds.reading import read_tasks
from studio.text import display_line

HELD_OUT = "held-out seeds"


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Tasks to evaluate on, as items, and where they come from. `skipped` tasks have no output to compare an answer with."""

    name: str
    items: tuple[EvaluationItem, ...]
    skipped: int = 0

    def without(self, items: Iterable[EvaluationItem]) -> TaskSet:
        """Return the set without the tasks of `items`."""
        gone = {item.task for item in items}
        return replace(self, items=_renumbered([item for item in self.items if item.task not in gone]))


def held_out_tasks(pool: Queries) -> TaskSet:
    """Return the seeds that the pool holds out. Raises PoolError when it holds none out, or none that is left with an output."""
    if pool.hold_out() is None:
        hint = "make a pool with `studio run POOL --hold-out 30`, or evaluate on a file: studio evaluate FILE --pool POOL"
        raise PoolError("the pool holds no tasks out for evaluation", hint)
    tasks = pool.tasks(pool.task_ids(held_out=True))
    found = _items((task.id, str(task.id), task.instruction, bool(task.is_classification), task.instances) for task in tasks)
    if not found:
        raise PoolError("none of the held-out tasks has an output to compare an answer with", "evaluate on a file")
    return TaskSet(HELD_OUT, found, len(tasks) - len({item.task for item in found}))


def file_tasks(path: Path) -> TaskSet:
    """Return the tasks of a file of any format that seeds may have.

    Raises UsageError when it is missing or faulty, or when no task of it has an output.
    """
    tasks = read_tasks(path)
    # Exact match is a figure of tasks that are known to be classification.
    found = _items((None, task.key, task.instruction, task.is_classification is True, task.instances) for task in tasks)
    if not found:
        raise UsageError(f"no task of {path} has an output to compare an answer with", "see `studio seeds --help` for the schema")
    return TaskSet(display_line(path.name), found, len(tasks) - len({item.task for item in found}))


def sampled(tasks: TaskSet, number: int, seed: str) -> TaskSet:
    """Return `number` of the tasks, or all where there are fewer; equal seeds draw the same ones, kept in their order."""
    numbers = sorted({item.task for item in tasks.items})
    if number >= len(numbers):
        return tasks
    chosen = set(random.Random(f"{seed}/evaluation").sample(numbers, number))
    return replace(tasks, items=_renumbered([item for item in tasks.items if item.task in chosen]))


_Task = tuple[int | None, str, str, bool, tuple[Instance, ...]]


def _items(tasks: Iterable[_Task]) -> tuple[EvaluationItem, ...]:
    return _renumbered([item for number, task in enumerate(tasks) for item in _of_task(number, task)])


def _of_task(number: int, task: _Task) -> Iterator[EvaluationItem]:
    """Yield one item for each input of a task: its instances with one and the same input are references of one item."""
    task_id, key, instruction, is_classification, instances = task
    outputs: dict[str, list[str]] = {}
    for instance in instances:
        if instance.output.strip():
            outputs.setdefault(instance.input.strip(), []).append(instance.output.strip())
    for given, references in outputs.items():
        yield EvaluationItem(0, number, task_id, key, instruction, given, tuple(dict.fromkeys(references)), is_classification)


def _renumbered(items: Sequence[EvaluationItem]) -> tuple[EvaluationItem, ...]:
    """Return the items with positions, and tasks, counted from 0 without gaps."""
    tasks = {number: place for place, number in enumerate(dict.fromkeys(item.task for item in items))}
    return tuple(replace(item, position=place, task=tasks[item.task]) for place, item in enumerate(items))
