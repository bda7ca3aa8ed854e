"""A training as its process is told of it, the parameters that decide which adapter comes of it, and what the process tells of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, TypeAdapter

from studio.config import Parameters
from studio.pool.trainings import LossPoint, Side
from studio.tuning.prompt_format import AUTO

Data = Literal["all", "generated", "seeds"]
Precision = Literal["auto", "float32", "bfloat16", "4bit"]
T = TypeVar("T")
Device = Literal["auto", "cpu", "cuda", "mps"]


class TrainingSettings(Parameters):
    """LoRA on all seven linear layers of each block, AdamW, linear decay after a short warm-up, loss on completions only.

    `batch` counts examples of an optimiser step; how many pass through the model at once follows from the device.
    """

    format: str = Field(AUTO, description="how examples are written, see `data.FORMATS`; auto is chat where the model has a template")
    data: Data = Field("all", description="generated and imported tasks with the seeds, without them, or the seeds alone")
    seed: str = Field("0", description="decides split, formats, order and first weights")
    validation: float = Field(0.1, ge=0.0, lt=1.0, description="share of instructions that are only measured by; 0 is none")
    epochs: int = Field(1, ge=1, le=1000, description="passes over the data at most")
    learning_rate: float = Field(5e-4, gt=0.0, le=1.0, description="highest learning rate")
    rank: int = Field(16, ge=1, le=1024, description="rank of the adapter")
    alpha: int = Field(32, ge=1, le=4096, description="scale of the adapter: alpha / rank")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="share of the adapter's inputs that are left out in training")
    batch: int = Field(8, ge=1, le=1024, description="examples of an optimiser step")
    max_tokens: int = Field(512, ge=16, le=131_072, description="longer examples are left out")
    evaluations: int = Field(4, ge=1, le=1000, description="times the validation loss is taken in an epoch")
    patience: int = Field(3, ge=1, le=1000, description="validations without a better loss before it stops")
    precision: Precision = Field(
        "auto", description="of the frozen weights; auto is bfloat16 on a GPU, 4bit where nothing else fits, and float32 elsewhere"
    )
    device: Device = Field("auto", description="where it runs; auto is a GPU that PyTorch sees, else the CPU")


ADAPTER = "adapter.gguf"
RECORD = "training.json"
"""What a training's folder holds in the end, beside its data and the adapter in peft's format; the record tells what all came from."""


@dataclass(frozen=True, slots=True)
class Job:
    """Where everything is. `weights` is a Hugging Face folder or empty; `threads` 0 leaves the number to PyTorch."""

    model: str
    sha256: str
    weights: str
    folder: str
    fingerprint: str
    settings: TrainingSettings
    threads: int = 0

    @property
    def key(self) -> str:
        """What stands for all that decides the outcome: a checkpoint of another key is of another training."""
        words = [self.sha256, self.weights, self.fingerprint, self.settings.model_dump_json()]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()

    def records(self, side: Side) -> list[dict[str, Any]]:
        """Return the lines of a side's file."""
        lines = data_file(Path(self.folder), side).read_text("utf-8").split("\n")
        return [json.loads(line) for line in lines if line]


def data_file(folder: Path, side: Side) -> Path:
    """Where the examples of a side are: one JSON object a line, see `data.Example.record`."""
    return folder / f"{side.value}.jsonl"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data is tokenised and the machine looked at; nothing long has begun. Counts of examples and of tokens.

    `memory` on the device and `host_memory` are estimates in bytes. `room` is how many padded tokens pass through the model at once,
    `checkpointing` whether blocks are computed once more on the way back; `why` says in words what made that necessary.
    """

    device: str
    precision: str
    train: int
    validation: int
    too_long: int
    tokens: int
    steps: int
    memory: int
    host_memory: int
    room: int
    checkpointing: bool
    why: tuple[str, ...]


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
    """No more steps: `reason` is `epochs`, `early_stop` or `interrupted`; `step` is the one whose weights the adapter has.

    `memory` is the most that this session took, in bytes: of the GPU what PyTorch allocated there, else of the process. 0 is unknown.
    """

    reason: str
    step: int
    memory: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """The training's data is on the disk, under `name` in `folder`; `resumed` when it was there before. `notes` tell what it lacks."""

    name: str
    folder: str
    resumed: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """All is done but the pool's record, which another process keeps from being written; `cause` says who."""

    cause: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The training is over and recorded. `adapter` is the GGUF file. `memory` is the most it took, `planned` the estimate, in bytes."""

    name: str
    folder: str
    adapter: str
    adapter_sha256: str
    adapter_bytes: int
    ended: str
    step: int
    seconds: float
    losses: tuple[LossPoint, ...]
    memory: int
    planned: int


Event = Prepared | Loading | Resumed | Step | Validated | Saved | Ended | Opened | Waiting | Finished
_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Prepared, Loading, Resumed, Step, Validated, Saved, Ended)}


def message_of(event: Event) -> dict[str, Any]:
    """Return an event as a message between processes."""
    return {"kind": "event", "name": type(event).__name__, "fields": asdict(event)}


def event_of(message: Mapping[str, Any]) -> Event:
    """Return the event that `message_of` described."""
    event: Event = read_record(_KINDS[message["name"]], message["fields"])
    return event


def read_record(kind: type[T], fields: Mapping[str, Any]) -> T:
    """Return a dataclass from what `asdict` and JSON made of it. Raises ValueError when it is none."""
    return TypeAdapter(kind).validate_python(fields)
