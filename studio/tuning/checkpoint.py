"""A training's state on the disk, in one file that is replaced whole: a kill at any moment leaves the last complete one.

A safetensors file: adapter, AdamW's moments and the best adapter so far as tensors, everything else as JSON in its header. Nothing in it is
code, whoever wrote it. No random state is kept, since every draw comes from the seed and the step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from studio.errors import ModelError
from studio.pool.exchange.outputs import writing
from studio.pool.studies.trainings import LossPoint
from studio.tuning.events import point_of

NAME = "checkpoint.safetensors"
_FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is. `job` stands for settings, data and model; `stale` counts validations since the best one."""

    job: str
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int = -1
    best_loss: float = float("inf")
    stale: int = 0
    ended: str = ""
    losses: tuple[LossPoint, ...] = ()

    def after(self, *points: LossPoint, **changes: Any) -> Progress:
        """Return the progress with more losses and other fields."""
        return replace(self, losses=(*self.losses, *points), **changes)


@dataclass(slots=True)
class State:
    """Tensors by name: the adapter, the optimiser's moments (`NAME/exp_avg`, ...), the best adapter."""

    adapter: Mapping[str, Any]
    moments: Mapping[str, Any]
    best: Mapping[str, Any] = field(default_factory=dict)


def save(folder: Path, progress: Progress, state: State) -> None:
    """Replace the checkpoint in `folder`. Raises PoolError when the disk refuses; the former one is whole then."""
    from safetensors.torch import save as to_bytes

    parts = (("adapter", state.adapter), ("moments", state.moments), ("best", state.best))
    tensors = {f"{part}/{name}": value.detach().cpu().contiguous() for part, values in parts for name, value in values.items()}
    header = {"format": _FORMAT, "progress": json.dumps(asdict(progress))}
    with writing(folder / NAME), replacing(folder / NAME) as draft, draft.open("wb") as file:
        file.write(to_bytes(tensors, header))
        file.flush()
        os.fsync(file.fileno())


def load(folder: Path, job: str) -> tuple[Progress, State] | None:
    """Return the checkpoint in `folder`, None when there is none.

    Raises ModelError when it is damaged, or of other settings, data or another model.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / NAME
    if not path.exists():
        return None
    parts: dict[str, dict[str, Any]] = {"adapter": {}, "moments": {}, "best": {}}
    try:
        with safe_open(path, framework="pt") as file:
            fields = json.loads(file.metadata()["progress"])
            for key in file.keys():  # noqa: SIM118  (not a mapping)
                part, _, name = key.partition("/")
                parts[part][name] = file.get_tensor(key)
        progress = Progress(**{**fields, "losses": tuple(point_of(each) for each in fields["losses"])})
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: the checkpoint is damaged: {error}", "delete it to train from the beginning") from error
    if progress.job != job:
        raise ModelError(
            f"{path}: the checkpoint is of another training", "delete it to train from the beginning, or choose another --name"
        )
    return progress, State(parts["adapter"], parts["moments"], parts["best"])


@contextmanager
def replacing(path: Path) -> Any:
    """Give a path beside `path` to write to; it takes its place when the block ends well, and is removed otherwise."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
