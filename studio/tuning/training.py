"""A training's places: its folder with the data, new or of the unfinished one that the same command began, and the pool's record of it.

The record is kept without keeping the pool. The right to write a pool is one process's at a time, and a training takes minutes to hours.
So it is taken for single transactions only: to begin, after checkpoints, and to finish. When another process has it in between, losses wait
for the next occasion; a `studio run` can start at any time meanwhile. The training's own folder has all of it, so nothing depends on the
record being up to date.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio import __version__
from studio.engine.api import CancelToken
from studio.engine.catalog import file_sha256
from studio.engine.chat_template import TurnTexts
from studio.engine.gguf import Gguf
from studio.engine.model_file import check_adapter
from studio.errors import Interrupted, PoolError, PoolInUse, UsageError
from studio.pool.exchange.outputs import complete_file, complete_files, writing
from studio.pool.pool import Pool, Queries
from studio.pool.trainings import LossPoint, Side, TrainingItem, TrainingPlan, TrainingRecord, TrainingState
from studio.records import ModelIdentity
from studio.text import display_line
from studio.tuning.data import TrainingData, collect
from studio.tuning.job import (
    ADAPTER,
    RECORD,
    Ended,
    Event,
    Finished,
    Job,
    Prepared,
    Resumed,
    Saved,
    Step,
    TrainingSettings,
    Validated,
    Waiting,
    data_file,
)
from studio.tuning.memory import adapter_parameters
from studio.tuning.prompt_format import CHAT
from studio.tuning.trainer import CHECKPOINT

_NAME = re.compile(r"[\w][\w.+-]{0,79}")
_WAIT_S = 1.0
_BYTES = 4 * (2 * 4 + 2)
"""On the disk for a number of the adapter, 32 bits wide: two checkpoints with four of each, the adapter in both formats."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A training as it was asked for. Empty `name`: go on with the unfinished one, or choose. Empty `output`: beside the pool."""

    pool: Path
    model: Path
    identity: ModelIdentity
    base: Gguf
    settings: TrainingSettings
    weights: str = ""
    name: str = ""
    output: Path | None = None
    threads: int = 0

    @property
    def recorded(self) -> Mapping[str, Any]:
        """The settings as the pool stores them."""
        return {**self.settings.model_dump(), "weights": self.weights}


@dataclass(frozen=True, slots=True)
class OpenTraining:
    """A training whose data lies in its folder. `number` is its id in the pool, None before it has begun there.

    `notes` say in words what a new one's data does not have.
    """

    name: str
    job: Job
    items: Sequence[TrainingItem]
    number: int | None
    notes: tuple[str, ...] = ()


def open_training(pool: Pool, asked: Asked) -> OpenTraining:
    """Find the training to go on with, or collect the data of a new one and write it into its folder.

    Raises UsageError for a name that is taken or settings that contradict its own, PoolError for no usable data, files that are gone and
    a disk that is full.
    """
    found = _unfinished(pool.trainings.all(), asked)
    if found is not None:
        return _again(pool, asked, found)
    name, folder = _place(pool, asked)
    data = _collected(pool, asked)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _check_room(folder, asked)
    _write(data, folder)
    # A conversation is several examples of one instance.
    items = {example.instance_id: example.item() for example in data.examples}
    return OpenTraining(name, _job(asked, folder, data.fingerprint), list(items.values()), None, tuple(data.notes()))


def trial(pool: Queries, asked: Asked, folder: Path) -> tuple[Job, tuple[str, ...]]:
    """Return the job of a training that the pool is not told of, its data in `folder`, and the notes on that."""
    data = _collected(pool, asked)
    _write(data, folder)
    return _job(asked, folder, data.fingerprint), tuple(data.notes())


def _collected(pool: Queries, asked: Asked) -> TrainingData:
    return collect(pool, asked.settings, TurnTexts(asked.base) if asked.settings.format == CHAT else None)


def _write(data: TrainingData, folder: Path) -> None:
    files = [data_file(folder, side) for side in Side]
    with complete_files(files) as sinks:
        for side, sink, file in zip(Side, sinks, files, strict=True):
            with writing(file):
                sink.write(data.lines(side))


def place_in_pool(pool: Path, path: Path) -> str:
    """Return `path` as the pool stores it: relative to the pool's folder when it lies within, so that both can be moved together."""
    here, there = pool.absolute().parent, path.absolute()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)


def _job(asked: Asked, folder: Path, fingerprint: str) -> Job:
    model = str(asked.model.absolute())
    return Job(model, asked.identity.sha256, asked.weights, str(folder.absolute()), fingerprint, asked.settings, asked.threads)


def _unfinished(trainings: Sequence[TrainingRecord], asked: Asked) -> TrainingRecord | None:
    """Return the training that this command goes on with. Raises UsageError when the one of that name is another."""
    for each in trainings:
        if asked.name and each.plan.name != asked.name:
            continue
        differences = list(_differences(each, asked))
        if each.state is TrainingState.STARTED and not differences:
            return each
        if asked.name and each.state is TrainingState.FINISHED:
            raise UsageError(f"the training {asked.name} is finished", "choose another --name for a new one")
        if asked.name:
            raise UsageError(
                f"the unfinished training {asked.name} was begun otherwise: {'; '.join(differences[:3])}",
                "leave these out to go on with it, or choose another --name",
            )
    return None


def _differences(record: TrainingRecord, asked: Asked) -> Iterator[str]:
    if record.plan.model.sha256 != asked.identity.sha256:
        yield f"model: {display_line(record.plan.model.name, 60)} there, {display_line(asked.identity.name, 60)} asked for"
    for key, value in asked.recorded.items():
        if record.plan.settings.get(key) != value:
            yield f"{key}: {display_line(str(record.plan.settings.get(key)), 60)} there, {display_line(str(value), 60)} asked for"


def _again(pool: Pool, asked: Asked, record: TrainingRecord) -> OpenTraining:
    # As `place_in_pool` gave it.
    folder = asked.pool.absolute().parent / record.plan.folder
    try:
        lines = [data_file(folder, side).read_bytes() for side in Side]
    except OSError as error:
        raise PoolError(
            f"the data of the unfinished training {record.plan.name} cannot be read in {folder}: {error.strerror}",
            "put its folder back, or choose another --name to begin anew",
        ) from error
    if hashlib.sha256(b"".join(lines)).hexdigest() != record.plan.fingerprint:
        raise PoolError(
            f"the data of the unfinished training {record.plan.name} in {folder} was changed", "choose another --name to begin anew"
        )
    items = pool.trainings.items(record.id)
    return OpenTraining(record.plan.name, _job(asked, folder, record.plan.fingerprint), items, record.id)


def _place(pool: Pool, asked: Asked) -> tuple[str, Path]:
    """Return the name and the folder of a new training. Raises UsageError for a name that cannot be one, or a folder that is in use."""
    beside = asked.pool.with_name(f"{asked.pool.name}.adapters")
    if asked.name:
        if not _NAME.fullmatch(asked.name):
            raise UsageError(f"--name {display_line(asked.name, 60)!r} cannot be a folder's name", "use letters, digits, - and _")
        name = asked.name
    else:
        taken = {each.plan.name for each in pool.trainings.all()}
        names = (f"tuned-{number}" for number in range(1, len(taken) + 10_000))
        name = next(each for each in names if each not in taken and (asked.output or not _in_use(beside / each)))
    folder = asked.output or beside / name
    if folder.exists() and (not folder.is_dir() or _in_use(folder)):
        raise UsageError(f"{folder} holds something else already", "choose another --name, or another folder with -o")
    return name, folder


def _in_use(folder: Path) -> bool:
    """Whether there is more in a folder than the data of a training that never began."""
    return folder.is_dir() and any(file.name not in {data_file(folder, side).name for side in Side} for file in folder.iterdir())


def _check_room(folder: Path, asked: Asked) -> None:
    """Raise PoolError when the checkpoints and the adapter will not fit on the disk."""
    needed = adapter_parameters(asked.base, asked.settings.rank) * _BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PoolError(
            f"{folder}: no room for checkpoints and adapter: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free",
            "free some space, or name a folder on another disk with -o",
        )


class Recorder:
    """What a session of a training has seen, on its way to the pool and to the folder's `training.json`."""

    def __init__(self, asked: Asked, training: OpenTraining, prepared: Prepared) -> None:
        self._asked = asked
        self._training = training
        self._prepared = prepared
        self._folder = Path(training.job.folder)
        self._losses: dict[tuple[str, int], LossPoint] = {}
        self._pending: list[LossPoint] = []
        self._number = self._begin() if training.number is None else training.number
        self._describe("started")

    def _begin(self) -> int:
        asked, folder = self._asked, place_in_pool(self._asked.pool, self._folder)
        fingerprint, steps = self._training.job.fingerprint, self._prepared.steps
        with Pool.open(asked.pool) as pool:
            plan = TrainingPlan(self._training.name, asked.identity, asked.recorded, fingerprint, folder, steps)
            return pool.trainings.begin(plan, self._training.items)

    def take(self, event: Event) -> None:
        """Keep what an event tells, in the pool where it is free. Raises PoolError for any other reason why it cannot be written."""
        match event:
            case Resumed(_, losses):
                self._add(*losses)
            case Step(point) | Validated(point):
                self._add(point)
            case Saved() if self._pending:
                self._stored(lambda pool: pool.trainings.add_losses(self._number, self._pending))

    def finish(self, ended: Ended, cancel: CancelToken) -> Iterator[Event]:
        """Check the adapter as `studio run` will, and record it, waiting for the pool if it must."""
        adapter = self._folder / ADAPTER
        check_adapter(adapter, self._asked.base)
        sha256, place = file_sha256(adapter), place_in_pool(self._asked.pool, adapter)
        self._describe("finished", adapter_sha256=sha256, ended=ended.reason, step=ended.step, memory_taken=ended.memory)
        said = False
        while busy := self._stored(lambda pool: pool.trainings.finish(self._number, self._pending, ended.reason, place, sha256)):
            if cancel.cancelled:
                raise Interrupted(f"the adapter {adapter} is made, but not on record: {busy}", "the same command records it")
            if not said:
                yield Waiting(busy)
            said = True
            time.sleep(_WAIT_S)
        (self._folder / CHECKPOINT).unlink(missing_ok=True)
        losses = self._points()
        yield Finished(
            name=self._training.name,
            folder=str(self._folder),
            adapter=str(adapter),
            adapter_sha256=sha256,
            adapter_bytes=adapter.stat().st_size,
            ended=ended.reason,
            step=ended.step,
            seconds=max((each.seconds for each in losses), default=0.0),
            losses=losses,
            memory=ended.memory,
            planned=self._prepared.memory,
        )

    def _add(self, *points: LossPoint) -> None:
        self._pending += points
        self._losses |= {(each.side.value, each.step): each for each in points}

    def _points(self) -> tuple[LossPoint, ...]:
        return tuple(sorted(self._losses.values(), key=lambda each: (each.step, each.side)))

    def _stored(self, change: Callable[[Pool], None]) -> str:
        """Change the pool by what waits; return who writes it when that keeps this from being stored, else empty text."""
        try:
            with Pool.open(self._asked.pool) as pool:
                change(pool)
        except PoolInUse as error:
            return error.message
        self._pending.clear()
        return ""

    def _describe(self, state: str, **more: Any) -> None:
        """Write `training.json`: all that the folder's files came from."""
        model = self._asked.identity
        about = {
            "name": self._training.name,
            "state": state,
            "studio_version": __version__,
            "base": {"name": model.name, "sha256": model.sha256, "architecture": model.architecture, "licence": model.licence},
            "prompt_format": self._asked.settings.format,
            "settings": dict(self._asked.recorded),
            "fingerprint": self._training.job.fingerprint,
            **asdict(self._prepared),
            **more,
            "losses": [asdict(each) for each in self._points()],
        }
        with complete_file(self._folder / RECORD) as file:
            file.write(json.dumps(about, ensure_ascii=False, indent=1).encode("utf-8", "replace"))
