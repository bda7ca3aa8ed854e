"""Reading a file of tasks of any format: what it is, its tasks, every fault, what is not taken, and what is held out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from studio.errors import UsageError, nearest_name
from studio.records import HoldOut, Instance, SeedTask
from studio.seeds.arrow_file import parse_arrow
from studio.seeds.inputs import FaultyFile, FileFault, Input, ParsedTask, faulty_file
from studio.seeds.json_file import RawRecord, is_json, parse_json
from studio.seeds.kinds import ARROW, PARQUET, SHEET, SUFFIXES, TEXT
from studio.seeds.mapping import FieldMap, paths_in
from studio.seeds.shapes import SHAPES, Shape, instruction_alone, parsed_task
from studio.seeds.tables import is_table, parse_csv, parse_sheet, parse_text
from studio.text import counted, display_line

_NAME = "seed_tasks.jsonl"
AUTO = "auto"
_READERS: Mapping[str, Callable[..., Iterator[RawRecord]]] = {
    "json": parse_json,
    "csv": parse_csv,
    TEXT: parse_text,
    PARQUET: parse_arrow,
    ARROW: parse_arrow,
    SHEET: parse_sheet,
}
_SHAPES: Mapping[str, Shape | None] = {
    **{shape.name: shape for shape in reversed(SHAPES)},
    "machine-generated": instruction_alone,
    **dict.fromkeys(("jsonl", "prompt-completion", "csv", "text", AUTO)),
}
FORMATS: Sequence[str] = tuple(name for name in _SHAPES if name != AUTO)
"""The names that a file's format may be given by."""
_SUFFIXES = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".tsv": "csv"}
_OTHERS = {".yaml", ".yml", ".toml", ".xml", ".html", ".md"}
_NO_TEXT = {".parquet", ".arrow", ".feather", ".xls", ".xlsx", ".xlsb", ".ods"}
"""Files whose lines would be taken for instructions, were they read as text."""
_LOOKED_AT = 1000
"""Records at the beginning of which one must have what a path of a mapping leads to."""
_KEYS = 200
"""Keys that are counted by name; a table turned on its side has as many as it has rows."""


def bundled_seeds() -> Path:
    """Return the path of the bundled seed file.

    An installed wheel carries it beside this module, a checkout in the repository's `seeds` folder. Raises UsageError when neither is
    there.
    """
    here = Path(__file__).resolve().parent
    for path in (here / _NAME, here.parents[1] / "seeds" / _NAME):
        if path.is_file():
            return path
    raise UsageError(
        f"the bundled seeds are missing: no {_NAME} in {here}",
        "reinstall self-instruct-studio, or name a seed file of your own",
    )


def find_format(name: str) -> str:
    """Return `name` if it is a format's. Raises UsageError with the nearest name."""
    if name not in _SHAPES:
        raise UsageError(f"unknown import format {name!r}", nearest_name(name, _SHAPES))
    return name


def parse(source: Input, format_name: str = AUTO, mapping: FieldMap | None = None) -> Iterator[ParsedTask]:
    """Yield what came of each record of `source`, as they come and in constant memory for formats with a record a line.

    `format_name` is one of `FORMATS`, or "auto"; `mapping` says where fields stand in the place of what is known of such formats. Raises
    UsageError when the input cannot be read to its end, or when a path of the mapping leads to nothing in all the records at its beginning.
    """
    shape = _SHAPES[find_format(format_name)]
    if mapping is None:
        container = container_of(source, format_name)
        for record in _READERS[container](source):
            if record.values is None:
                yield ParsedTask(record.line, None, record.faults, record.index, container, raw=record.raw)
                continue
            parsed = parsed_task(record.values, record.line, record.index, shape, record.raw)
            yield replace(parsed, shape=container) if container in ("csv", TEXT) else parsed
        return
    if shape is not None:
        raise UsageError(f"--map says where fields stand, and so does --format {format_name}", "leave one of the two out")
    yield from _mapped(source, format_name, mapping)


def _mapped(source: Input, format_name: str, mapping: FieldMap) -> Iterator[ParsedTask]:
    container = container_of(source, format_name, mapping.columns)
    unseen = {path.text for each in mapping.sources.values() for path in each.paths}
    held: list[ParsedTask] = []
    seen: dict[str, None] = {}
    looked_for = {"json": (mapping.fits,), "csv": (mapping.columns,), SHEET: (mapping.columns,)}
    for record in _READERS[container](source, *looked_for.get(container, ())):
        if record.values is None:
            parsed = ParsedTask(record.line, None, record.faults, record.index, container, raw=record.raw)
        else:
            parsed = mapping.parsed(record)
            if unseen:
                unseen.intersection_update(mapping.lacking(record.values))
                seen.update(dict.fromkeys(islice(paths_in(record.values), _KEYS)))
        held.append(parsed)
        if not unseen:
            yield from held
            held.clear()
        elif len(held) >= _LOOKED_AT or len(seen) >= _KEYS:
            raise _nowhere(source, unseen, seen, f"none of the first {counted(len(held), 'record')}")
    if unseen and seen:
        raise _nowhere(source, unseen, seen, "no record")
    yield from held


def _nowhere(source: Input, unseen: Iterable[str], seen: Sequence[str] | Mapping[str, None], words: str) -> FaultyFile:
    path = min(unseen)
    near = get_close_matches(path, seen, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? nothing was read" if near else "nothing was read; a path is written like answers.text[0]"
    return FaultyFile(display_line(f"{source.path}: {words} has {path}; there are {', '.join(seen)}", 1000), hint)


def container_of(source: Input, format_name: str = AUTO, columns: Collection[str] = ()) -> str:
    """Return how the records stand in `source`: as its bytes say, or `format_name`, or by its name unless its text says otherwise.

    It is json, csv or one of `studio.seeds.kinds`. `columns` are what a user looks for in a header. Raises UsageError for what is not read.
    """
    if source.kind != TEXT:
        return source.kind
    if format_name in ("csv", TEXT, "jsonl"):
        return "json" if format_name == "jsonl" else format_name
    suffixes = [suffix.lower() for suffix in source.path.suffixes if suffix.lower() not in SUFFIXES]
    suffix = suffixes[-1] if suffixes else ""
    if is_json(source.head_text):
        return "json"
    if suffix in _OTHERS:
        raise UsageError(
            f"{source.path} is {suffix[1:].upper()} by its name, which is not read", "write it as JSON lines, JSON or CSV first"
        )
    if known := _SUFFIXES.get(suffix):
        return known
    if is_table(source.head_text, 2 if suffix in {".txt", *_NO_TEXT} else 1, columns):
        return "csv"
    if suffix in _NO_TEXT:
        raise UsageError(f"{source.path} is {suffix[1:].upper()} by its name, and plain text by what it holds", "give it a name that fits")
    return TEXT


@dataclass(slots=True)
class Tally:
    """What a file has been found to hold. `untaken` counts the records by key of which nothing was taken, `as_text` the values by key.

    `likely` is what a file looks like of which no record is sound.
    """

    records: int = 0
    tasks: int = 0
    instances: int = 0
    faulty: int = 0
    hollow: int = 0
    alone: int = 0
    likely: str = ""
    shapes: Counter[str] = field(default_factory=Counter)
    untaken: Counter[str] = field(default_factory=Counter)
    suspects: Counter[str] = field(default_factory=Counter)
    as_text: Counter[str] = field(default_factory=Counter)
    renamed: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    taken: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add(self, parsed: ParsedTask) -> None:
        """Count one record."""
        self.records += 1
        if parsed.task is None:
            self.faulty += 1
            self.likely = self.likely or parsed.shape
            return
        self.tasks += 1
        self.instances += len(parsed.task.instances)
        self.alone += not parsed.task.instances
        self.hollow += len(parsed.hollow)
        self.shapes[parsed.shape] += 1
        if parsed.taken in self.taken or len(self.taken) < _KEYS:
            self.taken[parsed.taken] += 1
        for name in ("untaken", "suspects", "as_text", "renamed", "mended"):
            counter: Counter[str] = getattr(self, name)
            for key in getattr(parsed, name):
                counter[key if key in counter or len(counter) < _KEYS else "other keys"] += 1

    @property
    def format(self) -> str:
        """The name of what the records look like, `mixed` where they look like several things."""
        return "mixed" if len(self.shapes) > 1 else next(iter(self.shapes), self.likely)

    @property
    def roles(self) -> list[tuple[str, str]]:
        """Which field of a task each key became, as (field, key) in the order of the records; conversations and the like as they stand."""
        names = {key: name for name, _, key in (each.partition(" from ") for each in self.renamed)}
        keys = dict.fromkeys(key for taken, _ in self.taken.most_common() for key in taken)
        return [(names.get(key, key.strip().lower()), key) for key in keys]

    @property
    def lost_outputs(self) -> str:
        """What to say of answers that would be lost, under keys that stand only in records without an output; empty where none are."""
        lost = Counter({key: number for key, number in self.suspects.items() if number == self.untaken[key]})
        return f"{counted(self.alone, 'record')} without an output that is known as one; not taken: {_listed(lost)}" if lost else ""

    def notes(self) -> Iterator[str]:
        """Yield in words what a user should know before he trusts the tasks."""
        for words, counter in (
            ("mixed", self.shapes if len(self.shapes) > 1 else Counter[str]()),
            ("read as", self.renamed),
            ("not taken", self.untaken),
            ("numbers and truth values taken as text", self.as_text),
            ("halves of surrogate pairs, which no text can hold, replaced by U+FFFD", self.mended),
        ):
            if counter:
                yield f"{words}: {_listed(counter)}"
        if self.alone and self.format != "text":
            yield f"{counted(self.alone, 'record')} without an output: the instruction alone is taken"
        if self.hollow:
            yield f"{counted(self.hollow, 'instance')} left out for want of an output"

    def as_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        counts = {name: getattr(self, name) for name in ("records", "tasks", "instances", "faulty")}
        keys = {"not_taken": self.untaken, "as_text": self.as_text, "read_as": self.renamed, "mended": self.mended}
        return {**counts, "without_output": self.alone, "empty_outputs": self.hollow, **{name: dict(each) for name, each in keys.items()}}


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{key} ({counted(number, 'record')})" for key, number in counter.most_common())


@dataclass(frozen=True, slots=True)
class SeedFile:
    """What a file holds: its tasks, the lines they begin on and the places as faults name them, its faults in the order of lines, notes.

    `sha256` and `size`, in bytes, are of the file as it is stored.
    """

    path: Path
    format: str
    tasks: tuple[SeedTask, ...]
    lines: tuple[int, ...]
    places: tuple[str, ...]
    faults: tuple[FileFault, ...]
    notes: tuple[str, ...] = ()
    records: int = 0
    sha256: str = ""
    size: int = 0


def inspect_file(path: Path, mapping: FieldMap | None = None) -> SeedFile:
    """Read `path` to its end and return its tasks and all its faults. Raises UsageError only when it cannot be read at all.

    Records of equal instructions and other instances are one task.
    """
    source, tally = Input(path), Tally()
    joining = _Joining()
    faults: list[FileFault] = []
    keys: dict[str, str] = {}
    for parsed in parse(source, mapping=mapping):
        tally.add(parsed)
        faults += (*parsed.faults, *parsed.hollow)
        if (task := parsed.task) is None:
            continue
        first, joined = joining.add(task, parsed.line, parsed.place)
        if joined:
            continue
        if task.key and keys.setdefault(task.key, parsed.place) != parsed.place:
            faults.append(FileFault(parsed.line, "id", f"{task.key!r} is the id of {keys[task.key]} too", parsed.index))
        if first != parsed.place:
            faults.append(FileFault(parsed.line, "instruction", f"the same as {first}", parsed.index))
    if tally.lost_outputs:
        faults.append(FileFault(0, "", tally.lost_outputs))
    found = joining.tasks()
    if not found and not faults:
        faults.append(FileFault(0, "", "the file holds no task"))
    faults.sort(key=lambda fault: fault.line)
    lines, places, tasks = zip(*found, strict=True) if found else ((), (), ())
    notes = (*source.notes, *tally.notes())
    return SeedFile(path, tally.format, tasks, lines, places, tuple(faults), notes, tally.records, *source.stored())


class _Joining:
    """Tasks in the order they came, those of equal instructions, white space aside, as one."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, str, SeedTask]] = {}
        self._instances: dict[str, dict[Instance, None]] = {}
        self._pairs: dict[str, dict[tuple[Instance, Instance], None]] = {}

    def add(self, task: SeedTask, line: int = 0, place: str = "") -> tuple[str, bool]:
        """Take a task; return the place of the first of its instruction, and whether this one brought instances to it."""
        same = " ".join(task.instruction.split())
        first_line, first_place, first = self._first.setdefault(same, (line, place, task))
        instances, pairs = self._instances.setdefault(same, {}), self._pairs.setdefault(same, {})
        before = len(instances) + len(pairs)
        instances.update(dict.fromkeys(task.instances))
        pairs.update(dict.fromkeys(task.pairs))
        if first is not task and first.is_classification is None:
            self._first[same] = (first_line, first_place, replace(first, is_classification=task.is_classification))
        return first_place, first is not task and len(instances) + len(pairs) > before

    def tasks(self) -> list[tuple[int, str, SeedTask]]:
        """Return the tasks, each with the line and the place that it began on."""
        return [
            (line, place, replace(task, instances=tuple(self._instances[same]), pairs=tuple(self._pairs[same])))
            for same, (line, place, task) in self._first.items()
        ]


def join_tasks(tasks: Iterable[SeedTask]) -> list[SeedTask]:
    """Return the tasks with those of equal instructions, white space aside, as one: the first, with the instances of all."""
    joining = _Joining()
    for task in tasks:
        joining.add(task)
    return [task for _, _, task in joining.tasks()]


def read_seeds(path: Path, mapping: FieldMap | None = None) -> SeedFile:
    """Return what a seed file of any format holds. Raises UsageError, naming the first fault, when it is not without fault."""
    contents = inspect_file(path, mapping)
    if contents.faults:
        way = f"studio seeds check {path}" + (f" --map '{mapping}'" if mapping else "")
        raise faulty_file(path, contents.faults, f"list every fault with: {way}")
    return contents


def read_tasks(path: Path) -> list[SeedTask]:
    """Return the tasks of a seed file of any format. Raises UsageError, naming the first fault, when it is not without fault."""
    return list(read_seeds(path).tasks)


def draw_hold_out(seeds: Sequence[SeedTask], asked: float, seed: str) -> HoldOut:
    """Draw `asked` of `seeds`, a number or a share of them below 1, with as large a part of classification tasks as among all.

    Only seeds with an output can be held out: there must be something to compare an answer with. Equal seeds, `asked` and `seed` give equal
    draws. Raises UsageError when that is no number of tasks, when there are not so many, or when nothing would be left to generate from.
    """
    usable = [place for place, task in enumerate(seeds) if any(instance.output.strip() for instance in task.instances)]
    kinds = {place: "classification" if seeds[place].is_classification else "other" for place in usable}
    # A share of a small file still holds something out.
    number = int(asked) if asked >= 1 else max(1, round(asked * len(kinds)))
    if asked >= 1 and asked != number:
        raise UsageError(f"--hold-out {asked:g} is neither a number of seeds nor a share of them", "name a number, or a share below 1")
    if number >= len(seeds) or number > len(kinds):
        raise UsageError(
            f"--hold-out {asked:g}: there are {len(seeds)} seeds, {len(kinds)} of them with an output; some must be left to generate from",
            "hold out fewer",
        )
    shares = allocate(Counter(kinds.values()), number)
    chosen: list[int] = []
    for kind in sorted(shares):
        members = [place for place in kinds if kinds[place] == kind]
        chosen += random.Random(f"{seed}/hold-out/{kind}").sample(members, shares[kind])
    return HoldOut(f"{asked:g}", seed, frozenset(chosen))


def allocate(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Share `total` among strata in proportion to their sizes, by largest remainder; ties go to the larger stratum, then by name.

    A sample as large as the pool or larger takes every stratum whole.
    """
    population = sum(sizes.values())
    if total >= population:
        return dict(sizes)
    shares = {name: total * size // population for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(total * sizes[name] % population), -sizes[name], name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares
