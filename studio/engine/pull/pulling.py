"""Brings a model from the hub into the user's folder: looked at first, loaded beside its place, checked, and then there as a whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.engine.api import CancelToken
from studio.engine.catalog import file_sha256, known_files, models_folders, remember_sha256, size_text
from studio.engine.model_file import is_adapter, read_model, shard_of
from studio.engine.options import memory_of_machine
from studio.engine.pull.download import ENDING, HubFile, Origin, OriginFile, Progress, load, origin_path, read_origin, write_origin
from studio.engine.pull.offer import Choice, Offer
from studio.errors import ModelError
from studio.hub import endpoint

_FILES = "files"
STAGING = ".pull"
"""The folder below that of the models in which files lie until they are whole: hidden, so that nobody lists them."""
_SPARE = 1 << 26
"""Bytes of a disk that are left alone."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the model takes and what there is, in bytes: on the disk, and of memory."""

    to_load: int
    free: int
    memory: int
    machine: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One choice of an offer and where it goes: `target` is its file, or the first of its shards. `kept` bytes were loaded before.

    `there` tells that the same content is in its place already; `elsewhere` names a file of another program that is the same.
    """

    offer: Offer
    choice: Choice
    why: str
    target: Path
    kept: int
    there: bool
    elsewhere: Path | None

    @property
    def place(self) -> Path:
        """What appears in the models folder: the file, or the folder of the shards."""
        return self.target if len(self.choice.files) == 1 else self.target.parent

    def room(self) -> Room:
        """Return what is needed and what there is."""
        return Room(self.choice.size - self.kept, free_bytes(self.place), self.choice.memory, memory_of_machine())


def free_bytes(place: Path) -> int:
    """Return how many bytes are free where `place` is, or would be made."""
    return shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists())).free


def plan(offer: Offer, choice: Choice | None = None, into: Path | None = None) -> Plan:
    """Return what pulling `choice`, or else the one meant by the name, would do; looks at the disk alone. Raises ModelError."""
    why = "as you chose"
    if choice is None:
        choice, why = offer.pick(memory_of_machine())
    folder = (into or models_folders()[-1]).absolute()
    names = choice.names
    target = folder / names[0] if len(names) == 1 else folder / names[0].rsplit("-00001-of-", 1)[0] / names[0]
    staging = _staging(folder, choice) / _FILES
    kept = sum(path.stat().st_size for name in names for path in (staging / name, staging / f"{name}.part") if path.is_file())
    there = _is_there(choice, target)
    return Plan(offer, choice, why, target, min(kept, choice.size), there, None if there else _elsewhere(choice, target))


def pull(plan: Plan, progress: Progress, cancel: CancelToken, *, force: bool = False) -> Path:
    """Load what is missing, check it, and put it in its place; return its file, of a split model the first. `force` replaces others.

    Raises ModelError where there is no room or no way, for a content that is not the hub's and for what is no model; Interrupted when
    cancelled. Until all is there nothing appears in the folder; what was loaded is kept for the next time.
    """
    if plan.there:
        if read_origin(plan.target) is None:
            with contextlib.suppress(OSError):
                write_origin(plan.target, _origin(plan))
        return plan.target
    _refuse(plan, force=force)
    with _alone(_staging(plan.place.parent, plan.choice)) as staging:
        # Whoever had the lock before may have loaded it.
        if not _is_there(plan.choice, plan.target):
            files = _loaded(plan, staging / _FILES, progress, cancel)
            _check(files[0], staging)
            write_origin(files[0], _origin(plan))
            _into_place(plan, files)
        shutil.rmtree(staging, ignore_errors=True)
    with contextlib.suppress(OSError):
        staging.parent.rmdir()
    for file in plan.choice.files:
        if file.sha256:
            remember_sha256(plan.target.with_name(file.name), file.sha256)
    return plan.target


def _loaded(plan: Plan, folder: Path, progress: Progress, cancel: CancelToken) -> list[Path]:
    """Have each file of the choice in `folder`, whole and checked; `progress` is told of all of them together."""
    before, files = 0, []
    for file in plan.choice.files:
        path = folder / file.name
        if not path.exists():

            def report(what: str, done: int, _total: int, before: int = before) -> None:
                progress(what, before + done, plan.choice.size)

            part = folder / f"{file.name}.part"
            load(plan.offer.name.repo, plan.offer.revision, file, part, report, cancel)
            _synced(part).replace(path)
        files.append(path)
        before += file.size
    return files


def _refuse(plan: Plan, *, force: bool) -> None:
    room = plan.room()
    if room.to_load + _SPARE > room.free:
        raise ModelError(
            f"{plan.place.parent}: no room: {size_text(room.to_load + _SPARE)} are needed, {size_text(_SPARE)} of them to spare, "
            f"{size_text(room.free)} are free",
            "make room, choose a smaller one, or another disk with --into",
        )
    if not os.path.lexists(plan.place):
        return
    if not _is_replaceable(plan):
        raise ModelError(f"{plan.place}: a folder of that name is there, with other things in it", "put this one elsewhere: --into FOLDER")
    if not force:
        other = f"{plan.place}: another model of that name is there already"
        raise ModelError(other, "replace it with --force, or put this one elsewhere: --into FOLDER")


def _is_replaceable(plan: Plan) -> bool:
    """Whether what has the model's place is a file, or for a split model a folder with nothing but shards of that name."""
    if not plan.place.is_dir():
        return len(plan.choice.files) == 1
    stem = shard_of(plan.target)[0]
    return len(plan.choice.files) > 1 and all(
        shard_of(path)[0] == stem or path.name.endswith(ENDING) for path in plan.place.iterdir() if path.is_file() or path.is_dir()
    )


@contextlib.contextmanager
def _alone(staging: Path) -> Iterator[Path]:
    """Have the folder for what is loaded, and be the only one who loads it."""
    from filelock import FileLock, Timeout

    try:
        (staging / _FILES).mkdir(parents=True, exist_ok=True)
        with FileLock(staging / "lock", timeout=0):
            (staging / _FILES).mkdir(parents=True, exist_ok=True)
            yield staging
    except Timeout as error:
        raise ModelError(f"{staging}: another studio is loading this model", "wait for it, then use it") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(
            f"{staging.parent.parent}: cannot be written to: {reason}", "make room, or choose another folder with --into"
        ) from error


def _staging(folder: Path, choice: Choice) -> Path:
    """Where this very content is loaded, whatever repository or revision it is of."""
    key = hashlib.sha256("\n".join(f"{file.key} {file.name}" for file in choice.files).encode())
    return folder / STAGING / key.hexdigest()[:16]


def _synced(path: Path) -> Path:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def _check(first: Path, staging: Path) -> None:
    """Raise ModelError for what is neither a model nor an adapter, and keep nothing of it: it is what the hub has, and of no use."""
    try:
        if not is_adapter(first):
            read_model(first)
    except ModelError as error:
        shutil.rmtree(staging, ignore_errors=True)
        message = error.message.replace(str(first), first.name)
        raise ModelError(f"{message}; it was not kept", error.hint) from error


def _origin(plan: Plan) -> Origin:
    offer = plan.offer
    files = tuple(OriginFile(file.path, file.size, file.sha256) for file in plan.choice.files)
    return Origin(offer.name.repo, offer.revision, offer.licence, offer.base_models, files, endpoint())


def _into_place(plan: Plan, files: list[Path]) -> None:
    """One renaming makes the model appear: that of its file, or of the folder with all its shards."""
    if len(files) == 1:
        origin_path(files[0]).replace(origin_path(plan.place))
        files[0].replace(plan.place)
        return
    if plan.place.exists():
        plan.place.replace(files[0].parent.parent / "replaced")
    files[0].parent.replace(plan.place)


def _is_there(choice: Choice, target: Path) -> bool:
    return all(_is_same(target.with_name(file.name), file) for file in choice.files)


def _is_same(path: Path, file: HubFile) -> bool:
    """Whether the file at `path` has the content that the hub tells of; only one of the same size is read."""
    with contextlib.suppress(OSError):
        if path.stat().st_size != file.size:
            return False
        if file.sha256:
            return file_sha256(path) == file.sha256
        digest = file.hasher()
        digest.update(path.read_bytes())
        return digest.hexdigest() == file.key
    return False


def _elsewhere(choice: Choice, target: Path) -> Path | None:
    """A file of one of the other folders or programs that is this model."""
    if len(choice.files) > 1:
        return None
    others = (found.path for found in known_files() if found.path != target)
    return next((path for path in others if _is_same(path, choice.files[0])), None)
