"""What a person's actions bring to the ledger and what it tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from studio.engine.api import Completion
from studio.pool.instances import DecidedInstance
from studio.pool.requests import PlannedRequest
from studio.records import Novelty, Stage, Verdict


class ActionState(StrEnum):
    """Whether an action counts, and whether it can be turned."""

    DONE = "done"
    UNDONE = "undone"
    SETTLED = "settled"
    """Done for good: the run has built upon it."""
    VOID = "void"
    """Undone for good: something else was done since."""


@dataclass(frozen=True, slots=True)
class Note:
    """What an action is called: a word for programs, and words for people, which hold nobody else's text."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of an action: its words, and the ids of the tasks whose text or standing it may have touched."""

    words: str
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionStep:
    """One turn of an action: `step` is do, undo or redo, `state` what holds of the action now; `at` is an ISO 8601 time in UTC."""

    action_id: int
    kind: str
    words: str
    state: ActionState
    step: str
    at: str


@dataclass(frozen=True, slots=True)
class HandDecision:
    """What a person decided of a candidate. `text` is None where it is the model's own."""

    verdict: Verdict
    reason: str
    novelty: Novelty
    text: str | None = None


@dataclass(frozen=True, slots=True)
class HandRequest:
    """A request that a person asked for, with its answer."""

    stage: Stage
    planned: PlannedRequest
    completion: Completion


@dataclass(frozen=True, slots=True)
class MoreInstances:
    """Instances that a person asked for. `is_classification` is None where that was known before.

    The instances' `request_id` counts for nothing: theirs is the last of `requests`.
    """

    task_id: int
    requests: tuple[HandRequest, ...]
    instances: tuple[DecidedInstance, ...]
    is_classification: bool | None = None
