"""What one may look for in a pool, and the short rows that a list of it shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from studio.pool.review_records import ALL, Keep
from studio.records import Origin, TaskState


class Kind(StrEnum):
    """What is listed: tasks, which were accepted or came from outside, or candidates that were rejected."""

    TASKS = "tasks"
    REJECTED = "rejected"


class Sort(StrEnum):
    """By what a list is sorted; ties stand in the order of ids."""

    ID = "id"
    SCORE = "score"
    LENGTH = "length"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks or rejected candidates, and in which order. None and empty text mean: any.

    `text` are words to find, as `Queries.search` takes them. `rounds` are numbers and `scores` ROUGE-L F1 (0 to 1) to the nearest task,
    from and to, both included. `origin`, `state`, `is_classification`, `marked` (only those marked for review) and `keep` (what people
    said) hold for tasks only, `reason` for rejected candidates only.
    """

    kind: Kind = Kind.TASKS
    text: str = ""
    origin: Origin | None = None
    state: TaskState | None = None
    is_classification: bool | None = None
    marked: bool = False
    reason: str = ""
    rounds: tuple[int, int] | None = None
    scores: tuple[float, float] | None = None
    sort: Sort = Sort.ID
    descending: bool = False
    keep: Keep = ALL


@dataclass(frozen=True, slots=True)
class BrowseRow:
    """One line of a list. `text` is cut after some hundred characters; `score` is None for seeds and imports.

    For a rejected candidate `state` is None and `reason` says why; for a task `reason` is that of its acceptance, or empty.
    """

    id: int
    text: str
    origin: Origin
    state: TaskState | None
    is_classification: bool | None
    round: int | None
    score: float | None
    reason: str
    instances: int
    marked: bool


@dataclass(frozen=True, slots=True)
class Relative:
    """A task of a lineage. `parents` and `children` count tasks; `text` is cut after some hundred characters."""

    id: int
    text: str
    origin: Origin
    state: TaskState
    round: int | None
    parents: int
    children: int


@dataclass(frozen=True, slots=True)
class Kin:
    """A task of a printed lineage; `text` is cut after some hundred characters, `round` is None for seeds and imports."""

    id: int
    text: str
    origin: Origin
    state: TaskState
    round: int | None
