"""The data of a training: which instances, how they are written, and which of them are only measured by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio.errors import PoolError
from studio.pool.exchange.export import Split, encode_line, plan_split
from studio.pool.exchange.formats import Record
from studio.pool.pool import Queries
from studio.pool.records import ExportTask
from studio.pool.studies.judges import digest_of
from studio.pool.studies.trainings import Side, TrainingItem
from studio.records import Origin
from studio.tuning.formats import Around, Written, write
from studio.tuning.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Example:
    """An instance as the model sees it."""

    task_id: int
    instance_id: int
    side: Side
    instruction: str
    input: str
    output: str
    written: Written

    def record(self) -> Record:
        """Return the line of `train.jsonl` or `validation.jsonl` that holds it."""
        parts = {"parts": list(self.written.parts)} if self.written.parts else {}
        ids = {"task_id": self.task_id, "instance_id": self.instance_id}
        texts = {"instruction": self.instruction, "input": self.input}
        return {**ids, **texts, "prompt": self.written.prompt, "completion": self.written.completion, **parts}

    def item(self) -> TrainingItem:
        """Return what the pool stores of it."""
        return TrainingItem(self.task_id, self.instance_id, self.side, digest_of(self.instruction, self.input, self.output))


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All examples, in the pool's order."""

    examples: Sequence[Example]

    def side(self, side: Side) -> list[Example]:
        return [example for example in self.examples if example.side is side]

    def lines(self, side: Side) -> bytes:
        """Return a side as JSON lines."""
        return b"".join(encode_line(example.record()) for example in self.side(side))

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the training lines followed by the validation lines."""
        return hashlib.sha256(self.lines(Side.TRAIN) + self.lines(Side.VALIDATION)).hexdigest()


def collect(pool: Queries, settings: TrainingSettings, around: Around | None) -> TrainingData:
    """Return the pool's data as `settings` want it: examples that the format writes alike come once, the first of them.

    Raises PoolError when there is nothing to train on, UsageError and ModelError as the format does.
    """
    tasks = [task for task in pool.export_tasks(settings.data != "generated") if _wanted(task, settings)]
    split = _split([task.instruction for task in tasks], settings)
    examples = list(_once(_examples(tasks, split, settings, around)))
    if not any(example.side is Side.TRAIN for example in examples):
        raise _nothing(settings)
    return TrainingData(examples)


def _wanted(task: ExportTask, settings: TrainingSettings) -> bool:
    return task.origin is Origin.SEED if settings.data == "seeds" else True


def _split(instructions: Sequence[str], settings: TrainingSettings) -> Split | None:
    if not instructions:
        raise _nothing(settings)
    if not settings.validation:
        return None
    if len({" ".join(text.split()) for text in instructions}) < 2:
        raise PoolError(
            "a validation part needs two different instructions at least, and there is one", "generate more tasks, or use --validation 0"
        )
    return plan_split(instructions, 1 - settings.validation, settings.seed)


def _examples(tasks: Iterable[ExportTask], split: Split | None, settings: TrainingSettings, around: Around | None) -> Iterable[Example]:
    for task in tasks:
        side = Side.TRAIN if split is None or split.is_training(task.instruction) else Side.VALIDATION
        for number, instance in zip(task.instance_ids, task.instances, strict=True):
            if not instance.output.strip():
                continue
            key = f"{settings.seed}/{task.instruction}/{instance.input}/{instance.output}"
            written = write(settings.format, task.instruction, instance, key, around)
            yield Example(task.id, number, side, task.instruction, instance.input, instance.output, written)


def _once(examples: Iterable[Example]) -> Iterable[Example]:
    seen: set[tuple[str, str]] = set()
    for example in examples:
        texts = (example.written.prompt, example.written.completion)
        if texts not in seen:
            seen.add(texts)
            yield example


def _nothing(settings: TrainingSettings) -> PoolError:
    kinds = {"all": "tasks", "generated": "generated tasks", "seeds": "seed tasks"}
    hint = "generate some with `studio run`" + ("" if settings.data != "generated" else ", or train on the seeds too: --data all")
    return PoolError(f"nothing to train on: the pool has no {kinds[settings.data]} with usable instances", hint)
