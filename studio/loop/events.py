"""What a session tells its audience, and the sum of it: screen and progress bar see these events and nothing else of the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from studio.engine.api import Completion
from studio.records import Instance, Novelty, Source, Stage, Verdict


class StopReason(StrEnum):
    TARGET = "target"
    ROUNDS = "rounds"
    STALLED = "stalled"
    DOCUMENTS = "documents"
    """Every passage of the documents was used, and nothing else was asked for."""
    CANCELLED = "cancelled"


class Event:
    """Anything that happens in a session; each kind of it is a class below."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RoundStarted(Event):
    """A round begins, or goes on at `stage` after an interruption."""

    number: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class StageStarted(Event):
    round: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class RequestsSent(Event):
    """All requests of the stage were handed to the engine."""

    stage: Stage
    count: int


@dataclass(frozen=True, slots=True)
class TextStreamed(Event):
    """More text of the completion of request `ordinal`."""

    stage: Stage
    ordinal: int
    text: str


@dataclass(frozen=True, slots=True)
class RequestFinished(Event):
    stage: Stage
    ordinal: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class EngineRestarted(Event):
    """The engine died and runs again; the stage's requests start over, text streamed so far is void."""

    stage: Stage
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class RequestRetried(Event):
    """One request failed of `cause` and is sent again, for the `attempt`-th time, after `wait` seconds; its text so far is void."""

    stage: Stage
    ordinal: int
    attempt: int
    cause: str
    wait: float = 0.0

    @property
    def when(self) -> str:
        if self.wait < 1:
            return "at once"
        return f"in {self.wait:.0f} s" if self.wait < 120 else f"in {self.wait / 60:.0f} min"


@dataclass(frozen=True, slots=True)
class CandidateDecided(Event):
    """The rule decided a candidate. `task_id` is the new task's when it was accepted, `nats` how likely its text is, None if unmeasured."""

    request_ordinal: int
    text: str
    verdict: Verdict
    reason: str
    novelty: Novelty
    task_id: int | None
    nats: float | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class TaskClassified(Event):
    task_id: int
    is_classification: bool


@dataclass(frozen=True, slots=True)
class InstanceDecided(Event):
    task_id: int
    instance: Instance
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class StageFinished(Event):
    """The stage is committed; `next_stage` is None after the last."""

    round: int
    stage: Stage
    next_stage: Stage | None


@dataclass(frozen=True, slots=True)
class RoundFinished(Event):
    """The round joined the pool. `rejected` counts candidates by reason; `generated` is the pool's total of generated tasks."""

    number: int
    accepted: int
    rejected: Mapping[str, int] = field(hash=False)
    instances: int
    generated: int


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something a person should know of how the run goes, in one sentence; each is said once a session."""

    text: str


@dataclass(frozen=True, slots=True)
class RunStopped(Event):
    reason: StopReason


@dataclass
class Summary:
    """What one session did. `rejected` counts candidates by reason; tokens and seconds are this session's own."""

    pool: str
    run_id: int
    rounds: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    instances: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    stopped: StopReason = StopReason.ROUNDS

    def add(self, event: Event) -> None:
        match event:
            case RequestFinished(_, _, completion):
                self.prompt_tokens += completion.prompt_tokens
                self.cached_tokens += completion.cached_tokens
                self.completion_tokens += completion.completion_tokens
            case RoundFinished():
                self.rounds += 1
                self.accepted += event.accepted
                self.rejected.update(event.rejected)
                self.candidates += event.accepted + sum(event.rejected.values())
                self.instances += event.instances
            case RunStopped(reason):
                self.stopped = reason

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        values = dict(vars(self))
        return values | {"rejected": dict(self.rejected.most_common()), "seconds": round(self.seconds, 3), "stopped": str(self.stopped)}
