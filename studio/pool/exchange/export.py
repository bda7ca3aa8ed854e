"""Writing a pool's data as a file that a trainer takes, JSON lines or Parquet: streamed, and complete or not there at all.

A split divides by instruction and never by instance. A task's side comes from a keyed hash of its instruction alone. So the data is never
held, the same seed gives the same sides whatever else is in the pool, and a task keeps its side while the pool grows: what once was
validation data is not trained on later.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from studio.errors import PoolError, UsageError
from studio.paths import shown
from studio.pool.browse import ALL, Keep
from studio.pool.exchange.formats import SEEDS, Format, Record, TaskStream, find_format
from studio.pool.exchange.outputs import check_is_file, check_is_not_pool, complete_files, writing
from studio.pool.exchange.parquet import SUFFIX as PARQUET
from studio.pool.exchange.parquet import ParquetFile, require_parquet
from studio.pool.exchange.parts import Fitting, Part, Thinking
from studio.pool.pool import Queries
from studio.pool.preferences import NO_PAIRS
from studio.pool.stream import ExportTask, Stream
from studio.records import Instance
from studio.text import counted, storable

# Line ends to Python's splitlines() and to some readers; ordinary characters in JSON, so that an escape means the same.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def encode_line(record: Record) -> bytes:
    """Return `record` as one line of UTF-8 JSON with its line feed.

    Text stays unescaped but for control characters and the three characters that some readers take for line ends; lone surrogates, which
    UTF-8 has no bytes for, become U+FFFD.
    """
    return storable(json.dumps(record, ensure_ascii=False)).translate(_LINE_ENDS).encode() + b"\n"


_BITS = 64


@dataclass(frozen=True, slots=True)
class Split:
    """Instructions whose keyed hash is below `threshold` are for training, the others for validation."""

    seed: str
    threshold: int

    def is_training(self, instruction: str) -> bool:
        return instruction_hash(self.seed, instruction) < self.threshold


def instruction_hash(seed: str, instruction: str) -> int:
    """Return a hash of `instruction` under `seed`, evenly spread over 0 to 2**64 - 1; white space does not count."""
    key = hashlib.blake2b(seed.encode(errors="replace"), digest_size=32).digest()
    text = " ".join(instruction.split()).encode(errors="replace")
    return int.from_bytes(hashlib.blake2b(text, key=key, digest_size=_BITS // 8).digest(), "big")


def check_share(share: float) -> None:
    """Raise UsageError unless `share` is a share of the data that leaves something on both sides."""
    if not 0 < share < 1:
        raise UsageError(f"--split {share:g} is not a share of the data", "name the share for training, between 0 and 1: --split 0.95")


def plan_split(instructions: Iterable[str], share: float, seed: str) -> Split:
    """Return the split that puts about `share` of `instructions` into training.

    The share is met in expectation, not to the task. When chance would leave a side empty, the one instruction nearest to the threshold
    goes there. Raises UsageError for a share not between 0 and 1, PoolError when there are no two different instructions.
    """
    check_share(share)
    lowest, highest = 1 << _BITS, -1
    for instruction in instructions:
        value = instruction_hash(seed, instruction)
        lowest, highest = min(lowest, value), max(highest, value)
    if 0 <= highest == lowest:
        raise PoolError("a split needs at least two different instructions, and the pool has one", "export without --split")
    threshold = int(share * (1 << _BITS))
    return Split(seed, min(max(threshold, lowest + 1), max(highest, 0)))


Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export. `split` is the share of instructions for training, None for no split; `seed` decides which ones.

    `keep` narrows the tasks by what people said of them. `system` is a system turn for the instances that have none, `thinking` whether
    thoughts are kept or left out.
    """

    format: str = "alpaca"
    include_seeds: bool = False
    split: float | None = None
    seed: str = "0"
    keep: Keep = ALL
    system: str = ""
    thinking: Thinking = Thinking.KEEP

    def fitting(self) -> Fitting:
        """Return what makes tasks fit. Raises UsageError for an unknown format, and for a system turn for which it has no place."""
        chosen = find_format(self.format)
        if self.system and chosen.lacks(Instance("", "", system=self.system)):
            raise UsageError(f"the format {chosen.name} has no place for a system turn", "leave --system out, or take --format chat")
        return Fitting(chosen.lacks, self.system, self.thinking, paired=chosen.paired)


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was exported: the tasks that gave records, the records of each file, and those of each kind where the format tells kinds.

    `lost` are the instances that had a part for which the format has no place; `stripped` those whose thoughts were left out as asked.
    """

    tasks: int
    records: Mapping[Path, int]
    kinds: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[Part, int] = field(default_factory=dict)
    stripped: int = 0

    def notes(self, format_name: str) -> Iterator[str]:
        """Yield in words what a user should know of the data beside its size."""
        for part, number in sorted(self.lost.items()):
            yield f"{format_name} has no place for {part}: left out of {counted(number, 'instance')}"
        if self.stripped:
            yield f"thoughts left out of {counted(self.stripped, 'instance')}, as asked"

    @property
    def total(self) -> int:
        return sum(self.records.values())


class _Sink:
    """An open file and how many records went into it, as lines of JSON or, where it is called so, as Parquet of the columns of a format.

    A stream is not `named`: its own errors pass, for there is no path to tell with them.
    """

    def __init__(self, file: BinaryIO, path: Path, format_name: str, *, named: bool = True) -> None:
        self._named = named
        self._file = file
        self._columns = ParquetFile(file, format_name) if path.suffix.lower() == PARQUET else None
        self.path = path
        self.count = 0

    def write(self, record: Record) -> None:
        with writing(self.path) if self._named else nullcontext():
            if self._columns:
                self._columns.write(record)
            else:
                self._file.write(encode_line(record))
        self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._columns and kind is None:
            with writing(self.path):
                self._columns.close()
        elif self._columns:
            self._columns.give_up()


def export_to_stream(source: TaskStream, stream: BinaryIO, options: ExportOptions, progress: Progress = lambda _: None) -> ExportSummary:
    """Write the tasks of `source` to `stream`.

    Raises UsageError when the format or a split needs files, and PoolError when there is nothing to export.
    """
    chosen = find_format(options.format)
    if chosen.files:
        raise UsageError(f"the format {chosen.name} fills a folder, not stdout", f"name a folder: -o FOLDER --format {chosen.name}")
    if options.split is not None:
        raise UsageError("--split writes two files, not stdout", "name a file: -o FILE --split SHARE")
    sink, fitting = _Sink(stream, Path("-"), chosen.name, named=False), options.fitting()
    found = _write(source, options, None, {"": sink}, fitting, progress)
    stream.flush()
    return found


def export_to_files(
    source: TaskStream, target: Path, options: ExportOptions, pool: Path, progress: Progress = lambda _: None
) -> ExportSummary:
    """Write the tasks of `source` to `target`: a file, two beside it for a split, or a folder for a format of several files.

    A file that is there already is replaced when the new one is complete. `pool` is the pool's own path, which is refused. Raises
    UsageError for a target or split that does not fit, PoolError when there is nothing to export or a file cannot be written.
    """
    chosen = find_format(options.format)
    names = files_of(target, options, pool)
    if not chosen.files and target.suffix.lower() == PARQUET:
        require_parquet()
    fitting = options.fitting()
    split = None
    if options.split is not None:
        written = (task.instruction for task, records in _written(source, options) if any(records))
        split = plan_split(written, options.split, options.seed)
    with _folder(target, chosen), complete_files(list(names.values())) as files, ExitStack() as stack:
        sinks = {name: stack.enter_context(_Sink(file, path, chosen.name)) for (name, path), file in zip(names.items(), files, strict=True)}
        return _write(source, options, split, sinks, fitting, progress)


def _written(
    source: TaskStream, options: ExportOptions, fitting: Fitting | None = None
) -> Generator[tuple[ExportTask, Iterable[tuple[str, Record]]], None, None]:
    """Yield each task with its records, each of these with the file it belongs to, as `fitting` wants them."""
    chosen = find_format(options.format)
    for task in source.export_tasks(options.include_seeds, options.keep, made=chosen.made, paired=chosen.paired):
        yield task, chosen.records(task if fitting is None else fitting.fit(task))


def _write(
    source: TaskStream, options: ExportOptions, split: Split | None, sinks: Mapping[str, _Sink], fitting: Fitting, progress: Progress
) -> ExportSummary:
    """Write all records, and return what was written; PoolError for nothing."""
    seen = tasks = 0
    kind = find_format(options.format).kind
    kinds: Counter[str] = Counter()
    for seen, (task, records) in enumerate(_written(source, options, fitting), 1):
        before = sum(sink.count for sink in sinks.values())
        for name, record in records:
            side = name if split is None else "train" if split.is_training(task.instruction) else "validation"
            sinks[side].write(record)
            if kind is not None:
                kinds[kind(record)] += 1
        tasks += sum(sink.count for sink in sinks.values()) > before
        progress(seen)
    if not tasks:
        raise _no_pairs(seen) if seen else _nothing(options)
    return ExportSummary(tasks, {sink.path: sink.count for sink in sinks.values()}, kinds, fitting.lost, fitting.stripped)


def files_of(target: Path, options: ExportOptions, pool: Path) -> dict[str, Path]:
    """Return the files that an export to `target` writes, by what they hold; they may be there already.

    Raises UsageError for a target or split that does not fit, PoolError for one that cannot be written, the `pool` itself among them.
    """
    chosen = find_format(options.format)
    with writing(target):
        if not chosen.files:
            check_is_file(target)
        names = _file_names(target, chosen, options)
        for path in names.values():
            check_is_file(path)
            check_is_not_pool(path, pool)
    return names


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
    if options.keep.by_score:
        names = " and ".join(option_of(name) for name in options.keep.by_score)
        return PoolError(f"nothing to export: no task with instances is left by {names}", "allow more, or leave one of them out")
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


def _no_pairs(tasks: int) -> PoolError:
    one = "the task" if tasks == 1 else f"these {tasks:,} tasks"
    return PoolError(f"nothing to export: of no answer to {one} the pool knows that it is better than another", NO_PAIRS)


def option_of(name: str) -> str:
    """Return the option of the command line for a field of `Keep`."""
    return f"--{name.replace('_', '-')}"


def left_out_by_scores(source: Stream, options: ExportOptions) -> list[tuple[str, int, int]]:
    """Return for each score that decides (see `Keep.by_score`) how many tasks and instances it leaves out of what those before it leave.

    Each by its field of `Keep`. Raises PoolError as reading does.
    """
    limits: dict[str, Any] = {name: getattr(options.keep, name) for name in options.keep.by_score}
    none: dict[str, Any] = dict.fromkeys(limits)
    kept = replace(options.keep, **none)
    found = []
    tasks, instances = source.counted(options.include_seeds, kept)
    for name, value in limits.items():
        kept = replace(kept, **{name: value})
        left_tasks, left_instances = source.counted(options.include_seeds, kept)
        found.append((name, tasks - left_tasks, instances - left_instances))
        tasks, instances = left_tasks, left_instances
    return found


def sample_records(source: Queries, options: ExportOptions, count: int) -> list[str]:
    """Return the first `count` records that an export with these options would write, each as indented JSON.

    Fewer when there are fewer; a format of several files shows those of all. Raises UsageError for an unknown format, PoolError as reading
    does.
    """
    with closing(_written(source.stream, options, options.fitting())) as tasks:
        records = islice((each for _, found in tasks for each in found), count)
        return [(f"{file}: " if file else "") + json.dumps(record, ensure_ascii=False, indent=2) for file, record in records]
