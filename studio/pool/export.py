"""Writing a pool's data as a file that a trainer takes: streamed, and complete or not there at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from studio.errors import PoolError, UsageError
from studio.paths import shown
from studio.pool.formats import find_format
from studio.pool.formats.api import Format, Source
from studio.pool.formats.self_instruct import SEEDS
from studio.pool.jsonl import encode_line
from studio.pool.outputs import check_is_file, check_is_not_pool, complete_files, writing
from studio.pool.review_records import ALL, Keep
from studio.pool.split import Split, check_share, plan_split

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export. `split` is the share of instructions for training, None for no split; `seed` decides which ones.

    `keep` narrows the tasks by what people said of them.
    """

    format: str = "alpaca"
    include_seeds: bool = False
    split: float | None = None
    seed: str = "0"
    keep: Keep = ALL


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was exported: tasks, and the records of each file."""

    tasks: int
    records: Mapping[Path, int]

    @property
    def total(self) -> int:
        return sum(self.records.values())


class _Sink:
    """An open file and how many records went into it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self.path = path
        self.count = 0

    def write(self, line: bytes) -> None:
        with writing(self.path):
            self._file.write(line)
        self.count += 1


def export_to_stream(source: Source, stream: BinaryIO, options: ExportOptions, progress: Progress = lambda _: None) -> ExportSummary:
    """Write the tasks of `source` to `stream`.

    Raises UsageError when the format or a split needs files, PoolError when there is nothing to export, BrokenPipeError when the reader has
    left.
    """
    chosen = find_format(options.format)
    if chosen.files:
        raise UsageError(f"the format {chosen.name} fills a folder, not stdout", f"name a folder: -o FOLDER --format {chosen.name}")
    if options.split is not None:
        raise UsageError("--split writes two files, not stdout", "name a file: -o FILE --split SHARE")
    tasks = records = 0
    for task in source.export_tasks(options.include_seeds, options.keep, made=chosen.made):
        for _, record in chosen.records(task):
            stream.write(encode_line(record))
            records += 1
        tasks += 1
        progress(tasks)
    if not tasks:
        raise _nothing(options)
    stream.flush()
    return ExportSummary(tasks, {Path("-"): records})


def export_to_files(source: Source, target: Path, options: ExportOptions, pool: Path, progress: Progress = lambda _: None) -> ExportSummary:
    """Write the tasks of `source` to `target`: a file, two beside it for a split, or a folder for a format of several files.

    A file that is there already is replaced when the new one is complete. `pool` is the pool's own path, which is refused. Raises
    UsageError for a target or split that does not fit, PoolError when there is nothing to export or a file cannot be written.
    """
    chosen = find_format(options.format)
    with writing(target):
        if not chosen.files:
            check_is_file(target)
        names = _file_names(target, chosen, options)
        for path in names.values():
            check_is_file(path)
            check_is_not_pool(path, pool)
    split = None
    if options.split is not None:
        instructions = (task.instruction for task in source.export_tasks(options.include_seeds, options.keep))
        split = plan_split(instructions, options.split, options.seed)
    with _folder(target, chosen), complete_files(list(names.values())) as files:
        sinks = {name: _Sink(file, path) for (name, path), file in zip(names.items(), files, strict=True)}
        tasks = _write(source, chosen, options, split, sinks, progress)
        if not tasks:
            raise _nothing(options)
    return ExportSummary(tasks, {sink.path: sink.count for sink in sinks.values()})


def _write(
    source: Source, chosen: Format, options: ExportOptions, split: Split | None, sinks: Mapping[str, _Sink], progress: Progress
) -> int:
    tasks = 0
    for task in source.export_tasks(options.include_seeds, options.keep, made=chosen.made):
        for name, record in chosen.records(task):
            side = name if split is None else "train" if split.is_training(task.instruction) else "validation"
            sinks[side].write(encode_line(record))
        tasks += 1
        progress(tasks)
    return tasks


def _file_names(target: Path, chosen: Format, options: ExportOptions) -> dict[str, Path]:
    if options.split is not None:
        check_share(options.split)
        if chosen.files:
            raise UsageError(
                f"--split does not go with the format {chosen.name}", "its files are for the original's own tools; leave --split out"
            )
        return {side: target.with_name(f"{target.stem}.{side}{target.suffix}") for side in ("train", "validation")}
    if chosen.files:
        if target.exists() and not target.is_dir():
            raise UsageError(f"{shown(target)} is a file; the format {chosen.name} fills a folder", "name a folder with -o")
        return {name: target / name for name in chosen.files if options.include_seeds or name != SEEDS}
    return {"": target}


@contextmanager
def _folder(target: Path, chosen: Format) -> Iterator[None]:
    if not chosen.files or target.is_dir():
        yield
        return
    with writing(target):
        target.mkdir()
    try:
        yield
    except BaseException:
        # Not empty when a file of somebody else has come in meanwhile: then it stays.
        with suppress(OSError):
            target.rmdir()
        raise


def _nothing(options: ExportOptions) -> PoolError:
    if options.keep != ALL:
        keep = options.keep
        asked = (("this quality", keep.min_quality is not None), ("these tags", bool(keep.tags)), ("a note", keep.noted))
        hint = "`studio review POOL --report` tells what was rated; --unrated keeps the tasks that nobody has rated"
        if keep.min_quality is None:
            hint = "tags and notes are given on the pool screen"
        words = " and ".join(word for word, wanted in asked if wanted) or "what is asked for"
        return PoolError(f"nothing to export: no task with instances has {words}", hint)
    hint = "generate some tasks with studio run" + ("" if options.include_seeds else ", or export the seeds too with --include-seeds")
    return PoolError("nothing to export: the pool has no tasks with instances yet", hint)
