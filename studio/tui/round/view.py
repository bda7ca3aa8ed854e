"""A round as the pool has it, read in one go: its prompts, its candidates, what the model wrote about each new task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.engine.api import Chat, Completion
from studio.loop.prompts import Template
from studio.loop.runs import known_method, overridden
from studio.loop.settings import Method
from studio.pool.candidates import JudgedCandidate
from studio.pool.documents import PassageRecord
from studio.pool.pool import Queries
from studio.records import Source, Stage, Task, Verdict

RAW_STAGES = tuple(stage for stage in Stage if stage is not Stage.ANSWER)
"""The stages of a round whose model is not asked in chat."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One instruction request: its in-context tasks in the order of the prompt, and what came back, if it has.

    One that the model begins itself (`Source.TEMPLATE`) has no in-context tasks, nor has one for a passage of a document. `text` is the
    prompt, with `chat` as a user's turn.
    """

    ordinal: int
    parents: tuple[Task, ...]
    completion: Completion | None
    source: Source | None = None
    chat: Chat | None = None
    text: str = ""
    passage: PassageRecord | None = None

    @property
    def begun(self) -> str:
        """What of the instruction stands in the prompt already, where it is for a passage: what follows the last colon of its last line."""
        behind = self.chat is None or self.chat.writes_request
        return self.text.rpartition("\n")[2].rpartition(":")[2].lstrip() if self.passage is not None and behind else ""


@dataclass(frozen=True, slots=True)
class TaskText:
    """What the model wrote about a new task in one of the later stages."""

    stage: Stage
    ordinal: int
    task_id: int
    completion: Completion
    draw: tuple[int, int] = (1, 1)
    """Of several answers to the same instance: which one it is, from 1, and of how many."""
    chosen: bool = False
    """Whether it is the answer that was taken."""


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round from its in-context tasks to its verdicts.

    `next_stage` is None when the round is finished. `drafts` are the accepted candidates of an unfinished round; `instances` counts the
    accepted instances of the round.
    """

    id: int
    number: int
    next_stage: Stage | None
    prompts: tuple[Prompt, ...]
    candidates: tuple[JudgedCandidate, ...]
    task_texts: tuple[TaskText, ...]
    instances: int
    drafts: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that hold for this round alone, by dotted key."""
    stages: tuple[Stage, ...] = RAW_STAGES
    """Those that it has been played with, or will be."""


def read_round(reader: Queries) -> RoundView | None:
    """Return the newest round of the pool, or None when it never ran. Raises PoolError as reading does."""
    last = reader.rounds.last()
    if last is None:
        return None
    overrides = reader.rounds.overrides(last.id)
    method = known_method(next(run for run in reader.runs.all() if run.id == last.run_id))
    if method is not None and overrides:
        method = overridden(method, overrides)
    requests = reader.requests.planned(last.id, Stage.INSTRUCTIONS)
    answers = {each.ordinal: each.completion for each in reader.requests.completions(last.id, Stage.INSTRUCTIONS)}
    ids = list(dict.fromkeys(parent for each in requests for parent in each.parents))
    tasks = {task.id: task for task in reader.tasks.many(ids)}
    passages = reader.documents.passages(each.passage_id for each in requests if each.passage_id is not None)
    candidates = tuple(reader.candidates.judged(last.id))
    prompts = (
        Prompt(
            each.ordinal,
            tuple(tasks[parent] for parent in each.parents),
            answers.get(each.ordinal),
            each.source,
            each.chat,
            each.prefix + each.suffix,
            None if each.passage_id is None else passages[each.passage_id],
        )
        for each in requests
    )
    return RoundView(
        id=last.id,
        number=last.number,
        next_stage=last.stage,
        prompts=tuple(prompts),
        candidates=candidates,
        task_texts=(*_about_tasks(reader, last.id), *_answers(reader, last.id, method)),
        instances=reader.rounds.result(last.id).instances,
        drafts=sum(each.verdict is Verdict.ACCEPTED for each in candidates) if last.stage is not None else 0,
        overrides=overrides,
        stages=RAW_STAGES if method is None else method.stages,
    )


def _about_tasks(reader: Queries, round_id: int) -> Iterator[TaskText]:
    for stage in (Stage.CLASSIFY, Stage.INSTANCES):
        for each in reader.requests.completions(round_id, stage):
            if each.task_id is not None:
                yield TaskText(stage, each.ordinal, each.task_id, each.completion)


def _answers(reader: Queries, round_id: int, method: Method | None) -> Iterator[TaskText]:
    """The answers to the round's instances: several to one where the best of them is taken, or where it was asked for in other words."""
    completions = reader.requests.completions(round_id, Stage.ANSWER)
    if not completions:
        return
    planned = reader.requests.planned(round_id, Stage.ANSWER)
    first = {} if method is None else _in_other_words(method, [each.suffix for each in planned])
    asked = {each.id: (each.task_id, first.get(each.suffix, each.suffix)) for each in planned}
    of = Counter(asked[each.request_id] for each in completions)
    chosen = reader.instances.chosen_answers(round_id)
    drawn: Counter[tuple[int | None, str]] = Counter()
    for each in completions:
        if each.task_id is not None:
            question = asked[each.request_id]
            drawn[question] += 1
            draw = (drawn[question], of[question])
            yield TaskText(Stage.ANSWER, each.ordinal, each.task_id, each.completion, draw, each.request_id in chosen)


def _in_other_words(method: Method, texts: Sequence[str]) -> dict[str, str]:
    """The texts by how each is asked for once more."""
    template = Template.parse("answer_again", method.filled(method.prompts.answer_again))
    return {template.filled(text): text for text in texts}
