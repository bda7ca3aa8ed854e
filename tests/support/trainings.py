"""Trainings of tiny models that take a second."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from studio.engine.catalog import identify
from studio.engine.chat_template import TurnTexts
from studio.engine.gguf import read_gguf
from studio.pool.pool import Pool, Queries
from studio.pool.trainings import Side
from studio.records import Instance, SeedTask
from studio.tuning.data import collect, training_settings
from studio.tuning.job import Event, Job, TrainingSettings, data_file
from studio.tuning.plan import prepare
from studio.tuning.trainer import Trainer
from support.tiny_models import tiny_model

QUICK: dict[str, Any] = {"epochs": 2, "batch": 4, "rank": 2, "alpha": 4, "learning_rate": 0.01, "max_tokens": 128, "evaluations": 2}


def lessons(number: int = 24) -> list[SeedTask]:
    """Return tasks that a model of bytes can learn from: the answer is always the same, in lengths that differ."""
    return [
        SeedTask(
            f"seed_{n}",
            "",
            f"Say yes to question {n}{'!' * (n % 7)}",
            (Instance("" if n % 2 else f"Number: {n}", "yes" * (1 + n % 3)),),
            False,
        )
        for n in range(number)
    ]


def lesson_pool(path: Path, number: int = 24) -> Path:
    """Make a pool of lessons, closed again."""
    Pool.create(path, lessons(number)).close()
    return path


def quick_job(folder: Path, **settings: Any) -> Job:
    """Write the data of a quick training of a tiny model into `folder`, which is made, and return its job."""
    folder.mkdir()
    wanted = training_settings({"format": "varied"} | QUICK | settings)
    model = tiny_model(folder / "tiny.gguf")
    pool = lesson_pool(folder / "pool.db")
    return job_for(model, pool, folder, wanted)


def job_for(model: Path, pool: Path, folder: Path, settings: TrainingSettings) -> Job:
    """Write the data of a training into `folder` and return its job."""
    with Queries.open(pool) as reader:
        data = collect(reader, settings, TurnTexts(read_gguf(model)) if settings.format == "chat" else None)
    for side in Side:
        data_file(folder, side).write_bytes(data.lines(side))
    return Job(str(model), identify(model).sha256, "", str(folder), data.fingerprint, settings, threads=1)


def train(job: Job, cancelled: Callable[[], bool] = lambda: False, save_every_s: float = 1e9) -> Generator[Event, None, None]:
    """Train in this process."""
    yield from Trainer(prepare(job), cancelled, save_every_s).events()
