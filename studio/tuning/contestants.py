"""Who is evaluated, and on which tasks: everything is looked up, and what may have been trained on found, before a model is loaded."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from studio.engine.api import EngineInfo
from studio.engine.catalog import describe, file_sha256, find_model, sha256_of
from studio.engine.chat_template import around_the_prompt, has_chat_template
from studio.engine.gguf import Gguf
from studio.engine.model_file import adapter_label, check_adapter, read_model
from studio.engine.options import EngineOptions
from studio.engine.remote.address import is_address
from studio.engine.scripted import SCRIPTED_MODEL, ScriptedEngine
from studio.errors import PoolError, UsageError, nearest_name
from studio.insight.overlap import CorpusTask
from studio.insight.texts import SIZE, KnownRuns, highest_overlaps
from studio.loop.tokens import unicode_tokens
from studio.paths import user_path
from studio.pool.evaluations import EvaluationItem
from studio.pool.pool import Queries
from studio.pool.trainings import Side
from studio.records import Instance, ModelIdentity, Turn
from studio.seeds.inputs import readable
from studio.seeds.reading import read_tasks
from studio.text import display_line
from studio.tuning.data import VARIED
from studio.tuning.job import ADAPTER, RECORD, data_file
from studio.tuning.prompt_format import AUTO, CHAT, FIXED, NAMES, PLAIN, SERVED_CHAT, PromptFormat, chat_format

_KEYS = ("adapter", "format")


@dataclass(frozen=True, slots=True)
class ContestantSpec:
    """A contestant as it was asked for; empty texts where nothing was said."""

    model: str = ""
    adapter: str = ""
    format: str = AUTO


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contestant that can be asked.

    `identity` is None for a server, which tells it when it is opened. `adapter` is None without one; its file is there.
    """

    spec: ContestantSpec
    identity: ModelIdentity | None
    format: PromptFormat
    adapter: Path | None = None
    adapter_sha256: str = ""

    @property
    def adapter_name(self) -> str:
        """What the adapter is called, empty for none."""
        return adapter_label(str(self.adapter.resolve())) if self.adapter else ""

    def options(self, options: EngineOptions) -> EngineOptions:
        """Return `options` with this contestant's adapter; for a server without what only llama.cpp knows."""
        if is_address(self.spec.model):
            options = options.elsewhere()
        return replace(options, adapter=str(self.adapter) if self.adapter else "")


def parse_against(text: str, main: ContestantSpec) -> ContestantSpec:
    """Return the contestant that `MODEL[,adapter=FILE][,format=NAME]` names; without a model it is that of `main`.

    Raises UsageError for an unknown key, one given twice, or an empty text.
    """
    first, *rest = text.split(",")
    values: dict[str, str] = {}
    if first.partition("=")[0] in _KEYS or not first:
        rest = [first, *rest] if first else rest
        first = main.model
    for part in rest:
        key, equals, value = part.partition("=")
        if key not in _KEYS:
            raise UsageError(f"--against {text}: {key!r} is neither adapter nor format", nearest_name(key, _KEYS))
        if not equals or not value or key in values:
            raise UsageError(f"--against {text}: {key} is {'given twice' if key in values else 'empty'}", "write it as key=value, once")
        values[key] = value
    if not text.strip():
        raise UsageError("--against is empty", "name a model: --against MODEL,format=chat")
    return ContestantSpec(first, values.get("adapter", ""), values.get("format", AUTO))


_SERVED = {**FIXED, CHAT: SERVED_CHAT}
_LEFT_OPEN = replace(PLAIN, name=AUTO)
"""A server's, until it is opened."""


def settled(entrant: Entrant, engine: EngineInfo) -> Entrant:
    """The contestant with the format that its server is to be asked in, where that was left open: chat where the server wants it."""
    if entrant.format != _LEFT_OPEN:
        return entrant
    return replace(entrant, format=SERVED_CHAT if engine.asking == "chat" else PLAIN)


def look_up(spec: ContestantSpec) -> Entrant:
    """Find a contestant's files and settle its format.

    Raises ModelError when the model or its chat template is missing or broken or the adapter does not fit, UsageError for an unknown format
    or a missing adapter.
    """
    if spec.format not in NAMES:
        raise UsageError(f"unknown format {spec.format!r}", nearest_name(spec.format, NAMES))
    if is_address(spec.model) or spec.model == SCRIPTED_MODEL:
        if spec.adapter:
            raise UsageError("an adapter needs a model file", "name a GGUF model with --model")
        identity = ScriptedEngine().info.model if spec.model == SCRIPTED_MODEL else None
        return Entrant(spec, identity, _SERVED.get(spec.format, PLAIN if identity else _LEFT_OPEN))
    header = read_model(find_model(spec.model))
    adapter = _adapter(spec.adapter, header) if spec.adapter else None
    identity = describe(header, sha256_of(header))
    return Entrant(spec, identity, _format(spec, header, adapter), adapter, file_sha256(adapter) if adapter else "")


def _adapter(name: str, base: Gguf) -> Path:
    path = user_path(name)
    if path.is_dir():
        path = path / ADAPTER
    if not path.is_file():
        raise UsageError(f"there is no adapter at {path}", "name the adapter's GGUF file, or the folder that `studio finetune` filled")
    check_adapter(path, base)
    return path


def _format(spec: ContestantSpec, header: Gguf, adapter: Path | None) -> PromptFormat:
    name = spec.format
    if name == AUTO and adapter is not None:
        name = _trained_format(adapter)
    if name == AUTO:
        name = CHAT if has_chat_template(header) else PLAIN.name
    return chat_format(*around_the_prompt(header)) if name == CHAT else FIXED[name]


def _trained_format(adapter: Path) -> str:
    """Return the format that the adapter was trained with; AUTO where nothing beside it says so."""
    try:
        trained = json.loads((adapter.parent / RECORD).read_text("utf-8"))["prompt_format"]
    except (OSError, ValueError, LookupError, TypeError):
        return AUTO
    # The varied formats are the method's thirteen, and plain is one of them.
    return {VARIED: PLAIN.name, **{name: name for name in (*FIXED, CHAT)}}.get(str(trained), AUTO)


HELD_OUT = "held-out seeds"
_Task = tuple[int | None, str, str, bool | None, tuple[Instance, ...]]
"""Its id in a pool, its name, its instruction, whether it is classification where that is known, its instances."""
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
    found = _task_set(HELD_OUT, [(each.id, str(each.id), each.instruction, each.is_classification, each.instances) for each in tasks])
    if not found.items:
        raise PoolError("none of the held-out tasks has an output to compare an answer with", "evaluate on a file")
    return found


def file_tasks(path: Path) -> TaskSet:
    """Return the tasks of a file of any format that seeds may have.

    Raises UsageError when it is missing or faulty, or when no task of it has an output.
    """
    tasks = read_tasks(path)
    found = _task_set(
        display_line(path.name), [(None, each.key, each.instruction, each.is_classification, each.instances) for each in tasks]
    )
    if not found.items:
        raise UsageError(f"no task of {path} has an output to compare an answer with", "see `studio seeds --help` for the schema")
    return found


def _task_set(name: str, tasks: Sequence[_Task]) -> TaskSet:
    """Return tasks with an item for each of their inputs: the instances of one and the same input are references of one item."""
    items = []
    for number, (task_id, key, instruction, is_classification, instances) in enumerate(tasks):
        outputs: dict[str, dict[str, None]] = {}
        for instance in instances:
            if instance.output.strip():
                outputs.setdefault(instance.input.strip(), {})[instance.output.strip()] = None
        for given, references in outputs.items():
            # Exact match is a figure of tasks that are known to be classification.
            items.append(EvaluationItem(0, number, task_id, key, instruction, given, tuple(references), is_classification is True))
    skipped = len(tasks) - len({item.task for item in items})
    conversations = sum(bool(instance.system or instance.turns) for *_, instances in tasks for instance in instances)
    return TaskSet(name, _renumbered(items), skipped, conversations)


def sampled(tasks: TaskSet, number: int, seed: str) -> TaskSet:
    """Return `number` of the tasks, or all where there are fewer; equal seeds draw the same ones, kept in their order."""
    numbers = sorted({item.task for item in tasks.items})
    if number >= len(numbers):
        return tasks
    chosen = set(random.Random(f"{seed}/evaluation").sample(numbers, number))
    return replace(tasks, items=_renumbered([item for item in tasks.items if item.task in chosen]))


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
