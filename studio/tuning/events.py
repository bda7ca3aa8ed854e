"""What a training tells as it proceeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from studio.pool.studies.trainings import LossPoint, Side


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data is tokenised and the machine looked at; nothing long has begun. Counts of examples; `memory` in bytes is an estimate."""

    device: str
    precision: str
    train: int
    validation: int
    too_long: int
    tokens: int
    steps: int
    memory: int


@dataclass(frozen=True, slots=True)
class Loading:
    """The weights are loaded; `seldom` when they have to be taken out of the GGUF file first."""

    seldom: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """The training goes on after `step`; `losses` are those so far."""

    step: int
    losses: tuple[LossPoint, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """An optimiser step is done. `rate` is the learning rate, `tokens_per_s` counts this session's training tokens.

    `memory` is what the process holds, in bytes; on a GPU the most that was allocated there.
    """

    point: LossPoint
    steps: int
    epoch: float
    rate: float
    tokens_per_s: float
    seconds_left: float
    memory: int


@dataclass(frozen=True, slots=True)
class Validated:
    """The validation loss was taken; `best` when none was lower before."""

    point: LossPoint
    best: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """All up to `step` is on the disk."""

    step: int


@dataclass(frozen=True, slots=True)
class Ended:
    """No more steps: `reason` is `epochs`, `early_stop` or `interrupted`; `step` is the one whose weights the adapter has."""

    reason: str
    step: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The training's data is on the disk, under `name` in `folder`; `resumed` when it was there before."""

    name: str
    folder: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """All is done but the pool's record, which another process keeps from being written; `cause` says who."""

    cause: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The training is over and recorded. `adapter` is the GGUF file."""

    name: str
    folder: str
    adapter: str
    adapter_sha256: str
    adapter_bytes: int
    ended: str
    step: int
    seconds: float
    losses: tuple[LossPoint, ...]


Event = Prepared | Loading | Resumed | Step | Validated | Saved | Ended | Opened | Waiting | Finished
_KINDS = {kind.__name__: kind for kind in (Prepared, Loading, Resumed, Step, Validated, Saved, Ended)}


def message_of(event: Event) -> dict[str, Any]:
    """Return an event as a message between processes."""
    return {"kind": "event", "name": type(event).__name__, "fields": asdict(event)}


def event_of(message: Mapping[str, Any]) -> Event:
    """Return the event that `message_of` described."""
    fields = dict(message["fields"])
    if "point" in fields:
        fields["point"] = point_of(fields["point"])
    if "losses" in fields:
        fields["losses"] = tuple(point_of(each) for each in fields["losses"])
    event: Event = _KINDS[message["name"]](**fields)
    return event


def point_of(fields: Mapping[str, Any]) -> LossPoint:
    """Return a loss from its fields."""
    return LossPoint(**{**fields, "side": Side(fields["side"])})
