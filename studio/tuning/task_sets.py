"""The tasks that are evaluated on: the seeds a pool holds out, or those of a file.

And whether they have been trained on: the check without which a figure is worth nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from studio.errors import PoolError, UsageError
from studio.insight.overlap import CorpusTask
from studio.insight.similarity import SIZE, KnownRuns, highest_overlaps
from studio.loop.tokens import unicode_tokens
from studio.pool.evaluations import EvaluationItem
from studio.pool.pool import Queries
from studio.pool.trainings import Side
from studio.records import Instance, Turn
from studio.seeds.inputs import readable
from studio.seeds.reading import read_tasks
from studio.text import display_line
from studio.tuning.job import data_file

HELD_OUT = "held-out seeds"
_Task = tuple[int | None, str, str, bool, tuple[Instance, ...]]
"""Its id in a pool, its name, its instruction, whether it is classification, its instances."""
THRESHOLD = 0.7
"""ROUGE-L F1 from which on two instructions count as one: what the method itself calls too similar."""
_AT_A_TIME = 256
"""Training texts that are looked up together."""
Training = Iterable[CorpusTask]
"""Tasks that a model was or may have been trained on, to be iterated as often as asked."""


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Tasks to evaluate on, as items, and where they come from. `skipped` tasks have no output to compare an answer with.

    Of `conversations` the first exchange alone is an item, without the system turn before it and the turns behind it.
    """

    name: str
    items: tuple[EvaluationItem, ...]
    skipped: int = 0
    conversations: int = 0

    def without(self, items: Iterable[EvaluationItem]) -> TaskSet:
        """Return the set without the tasks of `items`."""
        gone = {item.task for item in items}
        return replace(self, items=_renumbered([item for item in self.items if item.task not in gone]))


def held_out_tasks(pool: Queries) -> TaskSet:
    """Return the seeds that the pool holds out. Raises PoolError when it holds none out, or none that is left with an output."""
    if pool.evaluations.hold_out() is None:
        hint = "make a pool with `studio run POOL --hold-out 30`, or evaluate on a file: studio evaluate FILE --pool POOL"
        raise PoolError("the pool holds no tasks out for evaluation", hint)
    tasks = pool.tasks.many(pool.tasks.ids(held_out=True))
    found = _items((task.id, str(task.id), task.instruction, bool(task.is_classification), task.instances) for task in tasks)
    if not found:
        raise PoolError("none of the held-out tasks has an output to compare an answer with", "evaluate on a file")
    return TaskSet(HELD_OUT, found, len(tasks) - len({item.task for item in found}), _conversations(task.instances for task in tasks))


def file_tasks(path: Path) -> TaskSet:
    """Return the tasks of a file of any format that seeds may have.

    Raises UsageError when it is missing or faulty, or when no task of it has an output.
    """
    tasks = read_tasks(path)
    # Exact match is a figure of tasks that are known to be classification.
    found = _items((None, task.key, task.instruction, task.is_classification is True, task.instances) for task in tasks)
    if not found:
        raise UsageError(f"no task of {path} has an output to compare an answer with", "see `studio seeds --help` for the schema")
    conversations = _conversations(task.instances for task in tasks)
    return TaskSet(display_line(path.name), found, len(tasks) - len({item.task for item in found}), conversations)


def _conversations(found: Iterable[Sequence[Instance]]) -> int:
    return sum(bool(instance.system or instance.turns) for instances in found for instance in instances)


def sampled(tasks: TaskSet, number: int, seed: str) -> TaskSet:
    """Return `number` of the tasks, or all where there are fewer; equal seeds draw the same ones, kept in their order."""
    numbers = sorted({item.task for item in tasks.items})
    if number >= len(numbers):
        return tasks
    chosen = set(random.Random(f"{seed}/evaluation").sample(numbers, number))
    return replace(tasks, items=_renumbered([item for item in tasks.items if item.task in chosen]))


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


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """One of the files that `studio finetune` leaves beside an adapter."""

    path: Path

    def __iter__(self) -> Iterator[CorpusTask]:
        with readable(self.path), self.path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                label = f"line {number} of {self.path.name}"
                try:
                    record = json.loads(line)
                    texts = (record["instruction"], record.get("input", ""), record["completion"])
                    said = list(map(str, (record.get("parts") or ())[1:-1:2]))
                except (ValueError, LookupError, AttributeError, TypeError) as error:
                    raise UsageError(f"{self.path}, {label}: no record of a training", "name the adapter where it was trained") from error
                instruction, given, completion = map(str, texts)
                # A user speaks first and last, so that an even number of turns has a system turn before them.
                further = tuple(Turn("", text) for text in said[1 + (len(said) % 2 == 0) :])
                yield CorpusTask(label, instruction, (Instance(given, completion, turns=further),))


@dataclass(frozen=True, slots=True)
class ItemOverlap:
    """An item that is too near to a training task, `label`: by the ROUGE-L of the instructions, or by a run of eight words they share."""

    item: EvaluationItem
    label: str
    score: float
    shared: str

    @property
    def reason(self) -> str:
        """What they have in common, in words."""
        return f"shares “{self.shared}”" if self.shared else f"ROUGE-L {self.score:.2f}"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "key": self.item.key,
            "instruction": self.item.instruction,
            "trained_on": self.label,
            "rouge_l": self.score,
            "shared": self.shared,
        }


def training_files(adapter: Path) -> list[TrainingFile]:
    """Return the files that `studio finetune` left beside an adapter: the data it learned from, and that which it chose the best step by.

    None where the first of them is missing.
    """
    files = [TrainingFile(data_file(adapter.parent, side)) for side in (Side.TRAIN, Side.VALIDATION)]
    return [file for file in files if file.path.is_file()] if files[0].path.is_file() else []


def overlapping(items: Sequence[EvaluationItem], training: Training) -> list[ItemOverlap]:
    """Return the items that come too near to a task of `training`, in their order, each with the first such task.

    Too near are instructions with a ROUGE-L F1 of `THRESHOLD` or more, and items whose instruction, input or reference output shares a run
    of eight words with any text of a task. Every pair is compared.
    """
    labels = (each.label for each in training)
    scores = list(highest_overlaps((item.instruction for item in items), (each.instruction for each in training)))
    near = {found.nearest for found in scores if found.score >= THRESHOLD}
    named = {place: label for place, label in enumerate(labels) if place in near}
    shared = KnownRuns(each.texts for each in training).shared(_texts(item) for item in items)
    found = []
    for item, score, run in zip(items, scores, shared, strict=True):
        if score.score >= THRESHOLD and score.nearest is not None:
            found.append(ItemOverlap(item, named[score.nearest], score.score, ""))
        elif run.shared:
            found.append(ItemOverlap(item, *_sharing(item, training, score.score)))
    return found


def _sharing(item: EvaluationItem, training: Training, score: float) -> tuple[str, float, str]:
    """Return the first training task that shares a run of words with an item, and the run."""
    known = KnownRuns([_texts(item)])
    texts = ((task.label, text) for task in training for text in task.texts)
    while chunk := list(islice(texts, _AT_A_TIME)):
        for (label, text), run in zip(chunk, known.shared([text] for _, text in chunk), strict=True):
            if run.first is not None:
                return label, score, " ".join(unicode_tokens(text)[run.first : run.first + SIZE])
    # The training data has changed between two looks at it: better left out than trusted.
    return "another task", score, "a run of eight words"


def _texts(item: EvaluationItem) -> tuple[str, ...]:
    return (item.instruction, *(text for text in (item.input, *item.outputs) if text))
