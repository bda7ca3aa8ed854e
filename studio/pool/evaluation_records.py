"""What an evaluation is made of: its items, who answers them, and the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from studio.engine.api import Completion
from studio.records import ModelIdentity


@dataclass(frozen=True, slots=True)
class HoldOutRecord:
    """How seeds were kept apart when the pool was made: what was asked for, the seed of the draw, and how many that came to."""

    asked: str
    seed: str
    held: int


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """One question: an instruction with one input, and the outputs that count as right.

    `task` tells which items are of one task, numbered from 0. `task_id` is None for tasks that are not of the pool, `key` their own id.
    """

    position: int
    task: int
    task_id: int | None
    key: str
    instruction: str
    input: str
    outputs: tuple[str, ...]
    is_classification: bool


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Which evaluation: equal items and settings are one. `name` says where the items come from and does not count."""

    name: str
    items: tuple[EvaluationItem, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """An evaluation of the pool. `items` is how many it has; `created_at` an ISO 8601 time in UTC."""

    id: int
    name: str
    fingerprint: str
    items: int
    max_tokens: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who answers: a model, with the adapter's file name and sha256 or two empty texts, asked in one format.

    `template` is the text that makes a prompt of an item; `engine` how the engine was set up, as JSON.
    """

    model: ModelIdentity
    format: str
    template: str
    adapter: str = ""
    adapter_sha256: str = ""
    engine: str = "{}"

    @property
    def label(self) -> str:
        """What it is called in tables: model, adapter if any, and format."""
        adapter = f" + {self.adapter}" if self.adapter else ""
        return f"{self.model.name}{adapter} [{self.format}]"


@dataclass(frozen=True, slots=True)
class ContestantRecord:
    """A contestant of one evaluation, and how many items it has answered."""

    id: int
    evaluation_id: int
    contestant: Contestant
    answered: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant was asked in one item, and what came back."""

    position: int
    prompt: str
    completion: Completion


def fingerprint_of(items: Sequence[EvaluationItem]) -> str:
    """Return what stands for the items: the sha256 of their texts and of which of them are one task, in hexadecimal digits."""
    texts = [[item.task, item.instruction, item.input, *item.outputs, item.is_classification] for item in items]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
