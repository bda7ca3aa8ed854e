"""The rows that a stage leaves behind; each function runs within a transaction of the caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from studio.engine.api import Completion, SamplingParams
from studio.errors import PoolError
from studio.paths import shown
from studio.pool.core.database import Database
from studio.pool.core.files import now
from studio.pool.core.rows import COMPLETION_FIELDS, completion_values, prompt_id, sampling_id, storable_or_none
from studio.pool.records import DecidedCandidate, DecidedInstance, PlannedRequest
from studio.records import Decider, Origin, Stage, TaskState, Verdict
from studio.text import storable

_REQUEST = ("id", "round_id", "stage", "ordinal", "task_id", "prefix_id", "suffix", "sampling_id", "seed")
_PARENT = ("request_id", "position", "task_id")
_COMPLETION = ("request_id", *COMPLETION_FIELDS)
_CANDIDATE = ("id", "request_id", "ordinal", "text", "input", "output")
_TASK = ("id", "origin", "state", "instruction", "round_id", "candidate_id")
_DECISION = ("candidate_id", "verdict", "reason", "score", "nearest_task_id", "seed_score", "mean_score", "decided_by", "decided_at")
_NEIGHBOUR = ("candidate_id", "rank", "task_id", "score")
_INSTANCE = ("task_id", "position", "request_id", "input", "output", "verdict", "reason", "decided_by")


def advance(database: Database, round_id: int, next_stage: Stage | None) -> None:
    """Set the stage an unfinished round is at; None leaves it. Raises PoolError when there is no such unfinished round."""
    sql = "UPDATE rounds SET stage = coalesce(?, stage) WHERE id = ? AND stage NOT IN ('done', 'superseded')"
    if database.execute(sql, (None if next_stage is None else next_stage.value, round_id)).rowcount != 1:
        raise _no_round(database, round_id)


def finish(database: Database, round_id: int) -> None:
    """Make the round's drafts active and the round done. Raises PoolError when there is no such unfinished round."""
    _end(database, round_id, TaskState.ACTIVE)


def abandon(database: Database, round_id: int) -> None:
    """Make the round's drafts retired and the round done. Raises PoolError when there is no such unfinished round."""
    _end(database, round_id, TaskState.RETIRED)


def _end(database: Database, round_id: int, drafts: TaskState) -> None:
    sql = "UPDATE rounds SET stage = 'done', finished_at = ? WHERE id = ? AND stage NOT IN ('done', 'superseded')"
    if database.execute(sql, (now(), round_id)).rowcount != 1:
        raise _no_round(database, round_id)
    database.execute("UPDATE tasks SET state = ? WHERE round_id = ? AND state = 'draft'", (drafts.value, round_id))


def insert_requests(database: Database, round_id: int, stage: Stage, requests: Sequence[PlannedRequest], taken: int = 0) -> None:
    """Insert the requests of a stage with their parents; prefixes and sampling parameters are stored once.

    Their ordinals count from `taken`: as many requests the stage has already.
    """
    first = _next_id(database, "requests")
    prefixes: dict[str, int] = {}
    samplings: dict[SamplingParams, int] = {}
    rows = []
    for ordinal, request in enumerate(requests):
        if request.prefix not in prefixes:
            prefixes[request.prefix] = prompt_id(database, request.prefix)
        if request.params not in samplings:
            samplings[request.params] = sampling_id(database, request.params)
        origin = (first + ordinal, round_id, stage.value, taken + ordinal, request.task_id, prefixes[request.prefix])
        rows.append((*origin, storable(request.suffix), samplings[request.params], request.seed))
    database.insert("requests", _REQUEST, rows)
    parents = (
        (first + ordinal, position, parent) for ordinal, request in enumerate(requests) for position, parent in enumerate(request.parents)
    )
    database.insert("request_parents", _PARENT, parents)


def update_request(database: Database, request_id: int, planned: PlannedRequest) -> None:
    """Put the prompt of `planned` in the place of a request's own; its parents, seed and place stay."""
    values = (prompt_id(database, planned.prefix), storable(planned.suffix), sampling_id(database, planned.params), request_id)
    database.execute("UPDATE requests SET prefix_id = ?, suffix = ?, sampling_id = ? WHERE id = ?", values)


def request_ids(database: Database, round_id: int, stage: Stage) -> list[int]:
    """Return the ids of the requests that a stage planned, in their order; those asked for by hand have ordinals below 0."""
    sql = "SELECT id FROM requests WHERE round_id = ? AND stage = ? AND ordinal >= 0 ORDER BY ordinal"
    return [request_id for (request_id,) in database.execute(sql, (round_id, stage.value))]


def insert_completions(database: Database, requests: Sequence[int], completions: Sequence[Completion]) -> None:
    """Insert one completion for each of the requests. Raises ValueError when the numbers differ."""
    if len(requests) != len(completions):
        raise ValueError(f"{len(completions)} completions for {len(requests)} requests")
    rows = ((request_id, *completion_values(completion)) for request_id, completion in zip(requests, completions, strict=True))
    database.insert("completions", _COMPLETION, rows)


def insert_candidates(database: Database, round_id: int, decided: Sequence[DecidedCandidate]) -> None:
    """Insert candidates, draft tasks, decisions and neighbours. Raises ValueError when verdict and task id disagree."""
    for candidate in decided:
        if (candidate.verdict is Verdict.ACCEPTED) != (candidate.task_id is not None):
            raise ValueError(f"a {candidate.verdict} candidate with task id {candidate.task_id}")
    numbered = list(enumerate(decided, start=_next_id(database, "candidates")))
    database.insert("candidates", _CANDIDATE, (_candidate_row(number, candidate) for number, candidate in numbered))
    drafts = (
        (candidate.task_id, Origin.GENERATED.value, TaskState.DRAFT.value, storable(candidate.text), round_id, number)
        for number, candidate in numbered
        if candidate.task_id is not None
    )
    # Tasks before decisions: a later candidate's nearest task may be an earlier one's draft.
    database.insert("tasks", _TASK, drafts)
    time = now()
    database.insert("decisions", _DECISION, (_decision_row(number, candidate, time) for number, candidate in numbered))
    database.insert("neighbours", _NEIGHBOUR, _neighbour_rows(numbered))


def update_classifications(database: Database, round_id: int, answers: Sequence[tuple[int, bool]]) -> None:
    """Set `is_classification` of drafts of the round. Raises ValueError when one of them is no draft of it."""
    for task_id, answer in answers:
        sql = "UPDATE tasks SET is_classification = ? WHERE id = ? AND round_id = ? AND state = 'draft'"
        if database.execute(sql, (int(answer), task_id, round_id)).rowcount != 1:
            raise ValueError(f"task {task_id} is no draft of round {round_id}")


def insert_instances(database: Database, instances: Sequence[DecidedInstance]) -> None:
    """Insert instances in their order, after those a task already has."""
    positions: defaultdict[int, int] = defaultdict(int)
    for task_id in {instance.task_id for instance in instances}:
        sql = "SELECT coalesce(max(position) + 1, 0) FROM instances WHERE task_id = ?"
        positions[task_id] = database.execute(sql, (task_id,)).fetchone()[0]
    rows = []
    for instance in instances:
        texts = (storable(instance.input), storable(instance.output))
        place = (instance.task_id, positions[instance.task_id], instance.request_id)
        rows.append((*place, *texts, instance.verdict.value, instance.reason, Decider.RULE.value))
        positions[instance.task_id] += 1
    database.insert("instances", _INSTANCE, rows)


def _candidate_row(number: int, candidate: DecidedCandidate) -> tuple[Any, ...]:
    texts = (storable(candidate.text), storable_or_none(candidate.input), storable_or_none(candidate.output))
    return (number, candidate.request_id, candidate.ordinal, *texts)


def _decision_row(number: int, candidate: DecidedCandidate, time: str) -> tuple[Any, ...]:
    novelty = candidate.novelty
    scores = (novelty.score, novelty.nearest, novelty.seed_score, novelty.mean)
    return (number, candidate.verdict.value, candidate.reason, *scores, Decider.RULE.value, time)


def _neighbour_rows(numbered: Sequence[tuple[int, DecidedCandidate]]) -> Iterator[tuple[Any, ...]]:
    for number, candidate in numbered:
        if candidate.verdict is Verdict.ACCEPTED:
            for rank, neighbour in enumerate(candidate.novelty.neighbours):
                yield (number, rank, neighbour.task_id, neighbour.score)


def _next_id(database: Database, table: str) -> int:
    # Nothing ever leaves these tables, so the greatest id is the last one given.
    return int(database.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0])


def _no_round(database: Database, round_id: int) -> PoolError:
    return PoolError(
        f"pool {shown(database.path)} has no unfinished round with id {round_id}", "this is a fault of the studio: please report it"
    )
