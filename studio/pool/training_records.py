"""What a training is: its plan, the instances it uses, and its losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.records import ModelIdentity


class Side(StrEnum):
    """What an instance is for."""

    TRAIN = "train"
    VALIDATION = "validation"


class TrainingState(StrEnum):
    """A started training may be under way or interrupted: the same command goes on with it."""

    STARTED = "started"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class TrainingItem:
    """An instance of the pool in a training; `seen` is `judge_records.digest_of` its texts as they were."""

    task_id: int
    instance_id: int
    side: Side
    seen: str


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training before it begins.

    `fingerprint` is the SHA-256 of the files `train.jsonl` and `validation.jsonl`, one after the other: 64 hexadecimal digits. `folder` is
    where its files lie, relative to the pool's folder or absolute; `steps` counts the planned optimiser steps.
    """

    name: str
    model: ModelIdentity
    settings: Mapping[str, Any]
    fingerprint: str
    folder: str
    steps: int


@dataclass(frozen=True, slots=True)
class LossPoint:
    """A loss at a step, in nats a completion token. `tokens` and `seconds` count from the beginning of the training, pauses left out."""

    side: Side
    step: int
    loss: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A training of the pool. Times are ISO 8601 in UTC.

    `ended`, `adapter` (the GGUF file's path), its hash and `finished_at` are empty until it is over.
    """

    id: int
    plan: TrainingPlan
    state: TrainingState
    studio_version: str
    started_at: str
    ended: str = ""
    adapter: str = ""
    adapter_sha256: str = ""
    finished_at: str = ""
