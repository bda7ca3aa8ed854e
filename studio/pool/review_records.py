"""What reviews are made of: a sample, its items, and what one rater says of an item."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

A = TypeVar("A")


class Question(StrEnum):
    """The three questions of Wang et al. 2022, section 3.3, as columns of `ratings`."""

    INSTRUCTION = "instruction_valid"
    INPUT = "input_appropriate"
    OUTPUT = "output_acceptable"


QUESTIONS: tuple[Question, ...] = tuple(Question)


class Strata(StrEnum):
    """By what a sample is stratified: each stratum gets its share of the sample."""

    NONE = "none"
    ROUND = "round"
    CLASS = "class"
    DEPTH = "depth"


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """Which sample: equal plans are one review. `size` is what was asked for; a small pool has fewer."""

    size: int = 200
    seed: str = "0"
    strata: Strata = Strata.NONE


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """A review; `created_at` is an ISO 8601 time in UTC."""

    id: int
    plan: ReviewPlan
    created_at: str


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A task of a sample with one of its instances, as both were when the sample was drawn."""

    position: int
    task_id: int
    instance_id: int
    stratum: str
    instruction: str
    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Said(Generic[A]):
    """What one rater says of one item of a study: answers, None where not yet given.

    A skipped item counts nowhere, whatever was answered before.
    """

    answers: tuple[A | None, ...]
    skipped: bool = False
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether it counts: every question answered, and not skipped."""
        return not self.skipped and None not in self.answers

    @property
    def settled(self) -> bool:
        """Whether the rater is done with the item."""
        return self.skipped or self.complete


@dataclass(frozen=True, slots=True)
class Rating(Said[bool]):
    """What one rater says of one task of a review. `answers` are in the order of `QUESTIONS`."""

    answers: tuple[bool | None, bool | None, bool | None] = (None, None, None)


BLANK = Rating()

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Turn(Generic[R]):
    """A key press taken back or done again: where, and what holds there now."""

    position: int
    rating: R


@dataclass(frozen=True, slots=True)
class Annotation:
    """What people hung on a task: tags in the order they were given, and a note."""

    tags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """Which tasks are wanted by what people said of them; without anything set, all.

    `min_quality` is the least share of yes among all answers to a task, 0 to 1, compared after rounding to two decimals, so that 0.67 means
    two of three. All raters, questions and reviews count alike, skipped items and those whose text was changed since do not. Tasks nobody
    has rated are left out, unless `unrated`. `tags`: tasks with any of them. `noted`: tasks with a note.
    """

    min_quality: float | None = None
    unrated: bool = False
    tags: tuple[str, ...] = ()
    noted: bool = False


ALL = Keep()
"""Every task."""
