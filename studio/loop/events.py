"""What a session tells its audience: the screen and the progress bar see these events and nothing else of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from studio.engine.api import Completion
from studio.records import Instance, Novelty, Stage, Verdict


class StopReason(StrEnum):
    """Why a run ended."""

    TARGET = "target"
    ROUNDS = "rounds"
    STALLED = "stalled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RoundStarted:
    """A round begins, or goes on at `stage` after an interruption."""

    number: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class StageStarted:
    round: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class RequestsSent:
    """All requests of the stage were handed to the engine."""

    stage: Stage
    count: int


@dataclass(frozen=True, slots=True)
class TextStreamed:
    """More text of the completion of request `ordinal`."""

    stage: Stage
    ordinal: int
    text: str


@dataclass(frozen=True, slots=True)
class RequestFinished:
    stage: Stage
    ordinal: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine died and runs again; the stage's requests start over, text streamed so far is void."""

    stage: Stage
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """One request failed of `cause` and is sent again, for the `attempt`-th time, after `wait` seconds; its text so far is void."""

    stage: Stage
    ordinal: int
    attempt: int
    cause: str
    wait: float = 0.0

    @property
    def when(self) -> str:
        """How long it waits, in words."""
        if self.wait < 1:
            return "at once"
        return f"in {self.wait:.0f} s" if self.wait < 120 else f"in {self.wait / 60:.0f} min"


@dataclass(frozen=True, slots=True)
class CandidateDecided:
    """The rule decided a candidate. `task_id` is the new task's when it was accepted."""

    request_ordinal: int
    text: str
    verdict: Verdict
    reason: str
    novelty: Novelty
    task_id: int | None


@dataclass(frozen=True, slots=True)
class TaskClassified:
    task_id: int
    is_classification: bool


@dataclass(frozen=True, slots=True)
class InstanceDecided:
    task_id: int
    instance: Instance
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class StageFinished:
    """The stage is committed; `next_stage` is None after the last."""

    round: int
    stage: Stage
    next_stage: Stage | None


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """The round joined the pool. `rejected` counts candidates by reason; `generated` is the pool's total of generated tasks."""

    number: int
    accepted: int
    rejected: Mapping[str, int] = field(hash=False)
    instances: int
    generated: int


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person should know of how the run goes, in one sentence; each is said once a session."""

    text: str


@dataclass(frozen=True, slots=True)
class RunStopped:
    reason: StopReason


Event = (
    RoundStarted
    | StageStarted
    | RequestsSent
    | TextStreamed
    | RequestFinished
    | EngineRestarted
    | RequestRetried
    | CandidateDecided
    | TaskClassified
    | InstanceDecided
    | StageFinished
    | RoundFinished
    | Noted
    | RunStopped
)
