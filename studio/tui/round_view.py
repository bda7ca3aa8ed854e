"""A round as the pool has it, read in one go after each committed stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio.engine.api import Completion
from studio.pool.candidates import JudgedCandidate
from studio.pool.pool import Queries
from studio.records import Stage, Task, Verdict


@dataclass(frozen=True, slots=True)
class Prompt:
    """One instruction request: its in-context tasks in the order of the prompt, and what came back, if it has."""

    ordinal: int
    parents: tuple[Task, ...]
    completion: Completion | None


@dataclass(frozen=True, slots=True)
class TaskText:
    """What the model wrote about a new task in one of the later stages."""

    stage: Stage
    ordinal: int
    task_id: int
    completion: Completion


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


def read_round(reader: Queries) -> RoundView | None:
    """Return the newest round of the pool, or None when it never ran. Raises PoolError as reading does."""
    last = reader.last_round()
    if last is None:
        return None
    requests = reader.requests(last.id, Stage.INSTRUCTIONS)
    answers = {each.ordinal: each.completion for each in reader.completions(last.id, Stage.INSTRUCTIONS)}
    ids = list(dict.fromkeys(parent for each in requests for parent in each.parents))
    tasks = {task.id: task for task in reader.tasks(ids)}
    candidates = tuple(reader.judged_candidates(last.id))
    return RoundView(
        id=last.id,
        number=last.number,
        next_stage=last.stage,
        prompts=tuple(Prompt(each.ordinal, tuple(tasks[p] for p in each.parents), answers.get(each.ordinal)) for each in requests),
        candidates=candidates,
        task_texts=tuple(
            TaskText(stage, each.ordinal, each.task_id, each.completion)
            for stage in (Stage.CLASSIFY, Stage.INSTANCES)
            for each in reader.completions(last.id, stage)
            if each.task_id is not None
        ),
        instances=reader.round_result(last.id).instances,
        overrides=reader.round_overrides(last.id),
        drafts=sum(each.verdict is Verdict.ACCEPTED for each in candidates) if last.stage is not None else 0,
    )
