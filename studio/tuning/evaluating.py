"""One evaluation: tasks, overlap check, answers, result.

Whatever can be wrong is found before a model is loaded, and each answer is kept as it comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.engine.api import CancelToken, Chat, Engine, Finished, FinishReason, Request, SamplingParams
from studio.engine.opening import Opener, open_engine
from studio.engine.options import EngineOptions
from studio.engine.remote.address import is_address
from studio.errors import Interrupted, ModelError, PoolError, UsageError
from studio.insight.overlap import PoolTasks, is_pool
from studio.insight.tables import Progress
from studio.pool.evaluations import Answer, Contestant, EvaluationItem, EvaluationPlan
from studio.pool.pool import Pool
from studio.records import ModelIdentity
from studio.seeds.inputs import is_regular
from studio.text import counted
from studio.tuning.contestants import (
    ContestantSpec,
    Entrant,
    ItemOverlap,
    TaskSet,
    Training,
    file_tasks,
    held_out_tasks,
    look_up,
    overlapping,
    sampled,
    settled,
    training_files,
)
from studio.tuning.prompt_format import PromptFormat
from studio.tuning.results import EvaluationResult, evaluation_result

BATCH = 32
"""Items that go to the engine together. What is computed together may shape an answer's last bits, so batches are the same ones always: one
that was interrupted is asked again as a whole, and only what is missing of it is kept."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """One evaluation as it was asked for.

    `source` is a pool, whose held-out seeds are the tasks, or a file of tasks; `pool` is where a file's answers are kept and whose tasks
    must not overlap with it. `sample` takes that many of the tasks, drawn by `seed`, which is also that of intervals and tests.
    """

    source: Path
    specs: tuple[ContestantSpec, ...]
    pool: Path | None = None
    max_tokens: int = 256
    sample: int | None = None
    seed: str = "0"
    without_overlap: bool = False
    options: EngineOptions = field(default_factory=EngineOptions)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the tasks were compared with, and which were left out for being too near to it."""

    checked: int
    against: tuple[str, ...]
    excluded: tuple[ItemOverlap, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {"checked": self.checked, "against": list(self.against), "excluded": [each.as_dict() for each in self.excluded]}


class TasksOverlap(UsageError):
    """The evaluation is refused: `overlaps` are the tasks that may have been trained on."""

    def __init__(self, overlaps: Sequence[ItemOverlap], total: int) -> None:
        super().__init__(
            f"{len(overlaps)} of {total} evaluation tasks overlap the training data",
            "evaluate on other tasks, or leave these out: --without-overlap",
        )
        self.overlaps = tuple(overlaps)


def pool_of(asked: EvaluationRequest) -> Path:
    """Return the pool that keeps the answers: the one evaluated, the one named, or one beside the file."""
    if is_pool(asked.source):
        if asked.pool is not None:
            raise UsageError("--pool goes with a file of tasks", "leave it out to evaluate on the pool's held-out seeds")
        return asked.source
    if asked.pool is None and not is_regular(asked.source):
        raise UsageError("a pipe has no pool beside it that could keep the answers", "name one with --pool")
    return asked.pool or asked.source.with_name(f"{asked.source.stem}.evaluation.db")


def evaluate(
    asked: EvaluationRequest, cancel: CancelToken, progress: Progress, say: Say, opener: Opener = open_engine
) -> tuple[EvaluationResult, Checked]:
    """Have every contestant answer what it has not answered, and return the figures; they are stored in the pool.

    Raises UsageError (`TasksOverlap` is one), PoolError and ModelError, before a model is loaded wherever possible, and Interrupted after
    `cancel`. Answers that came are kept.
    """
    entrants = _entrants(asked.specs)
    if all(is_address(entrant.spec.model) for entrant in entrants):
        asked.options.refuse_elsewhere(entrants[0].spec.model)
    path = pool_of(asked)
    with ExitStack() as stack:
        there = stack.enter_context(Pool.open(path)) if path.exists() else None
        tasks, checked = _check(asked, there, _tasks(asked, there, say), entrants, say)
        pool = there or stack.enter_context(Pool.create(path, []))
        evaluation = pool.evaluations.open(EvaluationPlan(tasks.name, tasks.items, asked.max_tokens))
        asking = _Asking(asked, pool, evaluation, pool.evaluations.items(evaluation), cancel, progress, say, opener)
        entered = [asking.answered(entrant) for entrant in entrants]
        result = evaluation_result(pool, evaluation, entered, seed=asked.seed)
        pool.evaluations.conclude(evaluation, {**result.as_dict(), "overlap": checked.as_dict()})
    return result, checked


def _entrants(specs: Sequence[ContestantSpec]) -> list[Entrant]:
    entrants = [look_up(spec) for spec in specs]
    seen = set()
    for entrant in entrants:
        model = entrant.identity.sha256 if entrant.identity else entrant.spec.model
        key = (model, entrant.adapter_sha256, entrant.format.template)
        if key in seen:
            raise UsageError(
                f"two contestants are the same: {entrant.spec.model or 'the bundled model'} in the format {entrant.format.name}",
                "leave one out, or give it another model, adapter or format",
            )
        seen.add(key)
    return entrants


def _tasks(asked: EvaluationRequest, pool: Pool | None, say: Say) -> TaskSet:
    tasks = held_out_tasks(pool) if pool is not None and is_pool(asked.source) else file_tasks(asked.source)
    if tasks.skipped:
        say(f"{tasks.skipped} tasks have no output to compare an answer with and are left out")
    if tasks.conversations:
        say(f"of {counted(tasks.conversations, 'conversation')} the first exchange alone is asked, without a system turn")
    return tasks if asked.sample is None else sampled(tasks, asked.sample, asked.seed)


def _check(asked: EvaluationRequest, pool: Pool | None, tasks: TaskSet, entrants: Sequence[Entrant], say: Say) -> tuple[TaskSet, Checked]:
    """Compare the tasks with all that the contestants may have been trained on. Raises TasksOverlap, and PoolError when none is left."""
    found: dict[int, ItemOverlap] = {}
    sources = _trainings(pool, entrants)
    for _, training in sources:
        for overlap in overlapping(tasks.items, training):
            found.setdefault(overlap.item.position, overlap)
    overlaps = tuple(found[position] for position in sorted(found))
    if overlaps and not asked.without_overlap:
        raise TasksOverlap(overlaps, len(tasks.items))
    left = tasks.without(each.item for each in overlaps)
    if not left.items:
        raise PoolError("every evaluation task overlaps the training data: none is left", "evaluate on other tasks")
    names = tuple(name for name, _ in sources)
    if not names:
        say("nothing is known of the training data: the tasks were compared with none")
    return left, Checked(len(tasks.items), names, overlaps)


def _trainings(pool: Pool | None, entrants: Sequence[Entrant]) -> list[tuple[str, Training]]:
    """Return what the contestants were trained on: what lies beside their adapters, and else the pool without its held-out seeds."""
    found: dict[str, Training] = {}
    unknown = not any(entrant.adapter for entrant in entrants)
    for entrant in entrants:
        if entrant.adapter is not None:
            files = training_files(entrant.adapter)
            found.update((str(file.path), file) for file in files)
            unknown = unknown or not files
    if unknown and pool is not None and (ids := pool.tasks.ids()):
        found[str(pool.path)] = PoolTasks(pool.path, ids)
    return list(found.items())


@dataclass(frozen=True, slots=True)
class _Asking:
    """The items of an evaluation on their way to contestants."""

    asked: EvaluationRequest
    pool: Pool
    evaluation: int
    items: Sequence[EvaluationItem]
    cancel: CancelToken
    progress: Progress
    say: Say
    opener: Opener

    def answered(self, entrant: Entrant) -> int:
        """Have one contestant answer what it has not answered; return its id. A model with nothing left to answer is not loaded."""
        if entrant.identity is not None:
            wanted = _contestant(entrant, entrant.identity)
            for known in self.pool.evaluations.contestants(self.evaluation):
                if known.answered == len(self.items) and _same(known.contestant, wanted):
                    self.say(f"{known.contestant.label}: all {len(self.items)} answers are there already")
                    return known.id
        self.say(f"loading {entrant.spec.model or 'the bundled model'} ...")
        engine = self.opener(entrant.spec.model, entrant.options(self.asked.options))
        try:
            info = engine.info
            entrant = settled(entrant, info)
            # With an adapter the engine's name for the model names both.
            about = json.dumps({**asdict(info), "model": info.model.path}, sort_keys=True)
            contestant = _contestant(entrant, entrant.identity or info.model, about)
            found = self.pool.evaluations.enter(self.evaluation, contestant)
            for notice in info.notices:
                self.say(f"note: {notice}")
            self._ask(engine, found, contestant.label, entrant.format)
        finally:
            engine.close()
        return found

    def _ask(self, engine: Engine, contestant: int, label: str, style: PromptFormat) -> None:
        """Ask a contestant what it has not answered, greedily. Raises Interrupted after `cancel`, ModelError when the engine fails."""
        known = set(self.pool.evaluations.answers(contestant))
        before = len(known)
        self.progress(label, before, len(self.items))
        for start in range(0, len(self.items), BATCH):
            batch = self.items[start : start + BATCH]
            if all(item.position in known for item in batch):
                continue
            requests = [_request(style, item, self.asked.max_tokens) for item in batch]
            for event in engine.stream(requests, self.cancel):
                # After a restart of the engine all of a batch comes again: an answer that was kept is the same.
                if not isinstance(event, Finished) or event.completion.finish_reason is FinishReason.CANCELLED:
                    continue
                position, request = batch[event.index].position, requests[event.index]
                if position not in known:
                    prompt = request.opening + request.suffix + request.closing
                    self.pool.evaluations.add(contestant, [Answer(position, prompt, event.completion)])
                    known.add(position)
                    self.progress(label, len(known), len(self.items))
            if self.cancel.cancelled and len(known) < len(self.items):
                new = len(known) - before
                raise Interrupted(f"stopped; {new} answers of this contestant are new and kept", "the same command goes on where it was")
            if any(item.position not in known for item in batch):
                raise ModelError("the engine left items unanswered", "try again: what was answered is kept")


def _request(style: PromptFormat, item: EvaluationItem, max_tokens: int) -> Request:
    """Return the request that puts an item to a model: zero-shot and greedy, without stop strings, as the paper's evaluation.

    What is compared is the answer, so that a server is asked to have its model not think first.
    """
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    chat = Chat(thinking=False) if style.is_served else None
    return Request("", style.prompt(item.instruction, item.input), params, 0, style.opening, style.closing, chat)


def _contestant(entrant: Entrant, model: ModelIdentity, engine: str = "{}") -> Contestant:
    return Contestant(model, entrant.format.name, entrant.format.template, entrant.adapter_name, entrant.adapter_sha256, engine)


def _same(one: Contestant, other: Contestant) -> bool:
    return (one.model.sha256, one.adapter_sha256, one.template) == (other.model.sha256, other.adapter_sha256, other.template)
