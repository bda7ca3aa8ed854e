"""The whole story of one task or candidate: where it came from, what was decided of it and why, what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from studio.errors import UsageError
from studio.pool.queries import Queries
from studio.pool.records import CandidateRecord, DecisionRecord, InstanceRecord, RequestRecord
from studio.records import Neighbour, Task


@dataclass(frozen=True, slots=True)
class Story:
    """All that the pool knows of a task or a candidate.

    A seed or import has a task and no candidate, a rejected candidate no task. `parents` are the in-context tasks in the order of the
    prompt; `decisions` are oldest first, the last one holds; `near` are the instructions of the neighbours and of the nearest task, by id.
    """

    task: Task | None
    candidate: CandidateRecord | None
    request: RequestRecord | None
    parents: tuple[Task, ...]
    decisions: tuple[DecisionRecord, ...]
    neighbours: tuple[Neighbour, ...]
    near: dict[int, str]
    instances: tuple[InstanceRecord, ...]
    task_requests: tuple[RequestRecord, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def parse_reference(text: str) -> tuple[str, int]:
    """Return the kind (`task` or `candidate`) and id of `12`, `t12` or `c12`. Raises UsageError for anything else."""
    kind, digits = ("candidate", text[1:]) if text[:1] == "c" else ("task", text.removeprefix("t"))
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise UsageError(f"{text!r} is no task or candidate", "write a task's id, such as 176, or a candidate's with a c, such as c12")
    return kind, int(digits)


def story_of(pool: Queries, reference: str) -> Story:
    """Tell the story of the task or candidate that `reference` names.

    Raises UsageError when it names nothing, PoolError when the pool has none of that id.
    """
    kind, number = parse_reference(reference)
    if kind == "task":
        return _story(pool, pool.task(number), pool.task_candidate(number))
    candidate = pool.candidate(number)
    return _story(pool, pool.task(candidate.task_id) if candidate.task_id is not None else None, candidate)


def _story(pool: Queries, task: Task | None, candidate: CandidateRecord | None) -> Story:
    request = pool.candidate_request(candidate.id) if candidate else None
    decisions = tuple(pool.decisions(candidate.id)) if candidate else ()
    neighbours = pool.neighbours(candidate.id) if candidate else ()
    near_ids = dict.fromkeys([each.task_id for each in neighbours] + [each.nearest for each in decisions if each.nearest is not None])
    return Story(
        task=task,
        candidate=candidate,
        request=request,
        parents=tuple(pool.tasks(request.parents)) if request else (),
        decisions=decisions,
        neighbours=neighbours,
        near={each.id: each.instruction for each in pool.tasks(list(near_ids))},
        instances=tuple(pool.instances(task.id)) if task else (),
        task_requests=tuple(pool.task_requests(task.id)) if task else (),
    )
