"""A training as its process is told of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio.pool.studies.trainings import Side
from studio.tuning.settings import TrainingSettings


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

    def message(self) -> dict[str, Any]:
        """Return the job as a message to its process."""
        return {**asdict(self), "settings": self.settings.model_dump()}


def job_of(message: Mapping[str, Any]) -> Job:
    """Return the job that `Job.message` described."""
    return Job(**{**message, "settings": TrainingSettings.model_validate(message["settings"])})


def data_file(folder: Path, side: Side) -> Path:
    """Where the examples of a side are: one JSON object a line, see `data.Example.record`."""
    return folder / f"{side.value}.jsonl"
