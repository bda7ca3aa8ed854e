"""What goes into a pool and comes out of it: frozen records, with no behaviour of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from studio.engine.api import Completion, SamplingParams
from studio.records import Decider, Instance, ModelIdentity, Neighbour, Novelty, Origin, Stage, Task, Verdict


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One set of settings that generated here. `settings` is canonical JSON, `started_at` an ISO 8601 time in UTC."""

    id: int
    settings: str
    seed: str
    studio_version: str
    model: ModelIdentity
    started_at: str


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """An unfinished round; `stage` is the next stage to do. `number` counts from 1 through the whole pool."""

    id: int
    run_id: int
    number: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request before it goes to the engine: its prompt is `prefix + suffix`.

    `parents` are the in-context tasks in the order of the prompt; `task_id` is the task a classification or instance request is about.
    """

    prefix: str
    suffix: str
    params: SamplingParams
    seed: int
    parents: tuple[int, ...] = ()
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request of the pool; `ordinal` is its position, from 0, among the requests of its round and stage."""

    id: int
    ordinal: int
    task_id: int | None
    prefix: str
    suffix: str
    params: SamplingParams
    seed: int
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredCompletion:
    """What came back for a request of the pool."""

    request_id: int
    ordinal: int
    task_id: int | None
    completion: Completion


@dataclass(frozen=True, slots=True)
class DecidedCandidate:
    """A candidate with the rule's decision; `ordinal` is its position, from 0, within the completion.

    An accepted one carries the id its draft task gets (`Pool.next_task_id` says from where they count), a rejected one None.
    `input` and `output` are set only where one completion writes whole tasks.
    """

    request_id: int
    ordinal: int
    text: str
    verdict: Verdict
    reason: str
    novelty: Novelty = field(default_factory=Novelty)
    input: str | None = None
    output: str | None = None
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class DecidedInstance:
    """An instance with the rule's decision. The order within its task is its position."""

    task_id: int
    request_id: int | None
    input: str
    output: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class DraftTask:
    """A task whose round has not committed, with the input and output its candidate came with, if any, and that candidate's request."""

    task: Task
    input: str | None
    output: str | None
    request_id: int | None


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A candidate of the pool as the model wrote it; `task_id` is the task it became, None when it never was accepted."""

    id: int
    request_id: int
    ordinal: int
    text: str
    input: str | None
    output: str | None
    task_id: int | None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision of a candidate. Scores are ROUGE-L F1, 0 to 1; `decided_at` is an ISO 8601 time in UTC."""

    id: int
    candidate_id: int
    verdict: Verdict
    reason: str
    score: float
    nearest: int | None
    seed_score: float
    mean_score: float
    decided_by: Decider
    decided_at: str
    edited: str | None = None
    """What a person made of the candidate's text; None where it is the model's own."""
    action_id: int | None = None
    """The action that it is part of; None for the rule's own decision."""


@dataclass(frozen=True, slots=True)
class OriginalInstance:
    """An instance as the model wrote it and the rule decided it, before a person changed it."""

    input: str
    output: str
    verdict: Verdict
    reason: str
    decided_by: Decider


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance of a task with its own verdict; `request_id` is None for those of seeds and imports.

    `original` is what it was before a person changed it, None when nobody has.
    """

    id: int
    task_id: int
    position: int
    request_id: int | None
    input: str
    output: str
    verdict: Verdict
    reason: str
    decided_by: Decider
    original: OriginalInstance | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request with all that surrounds it; `completion` is None while it has not come back.

    `round_stage` is the next stage of its round, 'done' after the last and 'superseded' where the round was written anew; `round_ended` is
    when it ended, an ISO 8601 time in UTC, None while it has not.
    """

    id: int
    round: int
    stage: Stage
    ordinal: int
    task_id: int | None
    prefix: str
    suffix: str
    params: SamplingParams
    seed: int
    parents: tuple[int, ...]
    completion: Completion | None
    run_id: int
    model: ModelIdentity
    round_stage: str
    round_ended: str | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and what came back; text and reason are None while nothing has."""

    prompt: str
    text: str | None
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class ExportOrigin:
    """How a task was written: the request that its instruction came from, the last one for its instances, both None where there was none;
    its mean ROUGE-L, and the instructions of its neighbours by id."""

    asked: Exchange | None
    written: Exchange | None
    mean_score: float
    near: dict[int, str]


@dataclass(frozen=True, slots=True)
class ExportTask:
    """An active task with its accepted instances and where it came from.

    `request` reads `round/stage/ordinal`, `model` is a file's sha256; both are empty, and scores and decider None, for seeds and imports.
    """

    id: int
    origin: Origin
    key: str
    name: str
    instruction: str
    is_classification: bool | None
    instances: tuple[Instance, ...]
    round: int | None = None
    parents: tuple[int, ...] = ()
    score: float | None = None
    seed_score: float | None = None
    nearest: int | None = None
    neighbours: tuple[Neighbour, ...] = ()
    request: str = ""
    model: str = ""
    decided_by: Decider | None = None
    instance_ids: tuple[int, ...] = field(default=(), compare=False)
    """The ids of `instances`, in their order."""
    made: ExportOrigin | None = field(default=None, compare=False)
    """Only where it was asked for."""


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """How much there is of everything.

    `seeds`, `generated` and `imported` are active tasks, `held_out` those of the seeds that are kept apart; `accepted` and `rejected` count
    candidates by the decision that holds; `rounds` are finished ones; `instances` and `instances_rejected` are those of generated tasks,
    whatever their state.
    """

    seeds: int = 0
    generated: int = 0
    imported: int = 0
    drafts: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    instances: int = 0
    instances_rejected: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    model_seconds: float = 0.0
    held_out: int = 0


@dataclass(frozen=True, slots=True)
class WriterRecord:
    """Who has a pool open for writing; `since` is an ISO 8601 time in UTC."""

    pid: int
    host: str
    since: str


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What one round brought: candidates accepted, candidates rejected by reason, and accepted instances."""

    accepted: int
    rejected: dict[str, int]
    instances: int


@dataclass(frozen=True, slots=True)
class RoundYield:
    """A finished round's candidates, and how many of them were accepted; and the run whose settings it had."""

    number: int
    candidates: int
    accepted: int
    run_id: int


@dataclass(frozen=True, slots=True)
class RejectedCandidate:
    """A candidate that is not in the pool, with the reason code and its highest ROUGE-L F1."""

    id: int
    text: str
    reason: str
    score: float
