"""Tasks of files and pools side by side: how much one has in common with another (`studio overlap`), and a seed file's own figures.

A corpus is a pool or a file in any format that import knows, read as a stream and as often as asked.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Group
from rich.text import Text

from studio.errors import UsageError
from studio.insight.statistics import histogram
from studio.insight.tables import Progress, counted_bins, silent, told
from studio.insight.texts import SIZE, KnownRuns, highest_overlaps
from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS
from studio.pool.pool import Queries
from studio.records import Instance, Origin
from studio.seeds.inputs import FaultyFile, FileFault, Input, faulty_file, is_regular, located, readable
from studio.seeds.reading import SeedFile, Tally, parse
from studio.text import display_line

_SQLITE = b"SQLite format 3\0"
_AT_A_TIME = 5_000


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """A task and where it stands: `task 176` of a pool, `line 12` or `entry 3` of a file."""

    label: str
    instruction: str
    instances: tuple[Instance, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All that the task says: its instruction, the inputs and outputs of its instances, and what was said after them.

        System turns are none of it: many tasks that have nothing else in common share one.
        """
        said = (text for each in self.instances for text in (each.input, each.output, *(turn.text for turn in each.turns)))
        return (self.instruction, *filter(None, said))


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file without fault, how many tasks it has, and what of it is not taken.

    Iterating goes through it anew, in constant memory for formats with a task a line; it was opened once.
    """

    file: Input
    format: str
    tasks: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.tasks

    def __iter__(self) -> Iterator[CorpusTask]:
        for parsed in parse(self.file):
            if parsed.task is None:
                raise faulty_file(self.file.path, parsed.faults, "correct the file")
            label = f"line {parsed.line}" if parsed.index is None else f"entry {parsed.index + 1}"
            yield CorpusTask(label, parsed.task.instruction, parsed.task.instances)


@dataclass(frozen=True, slots=True)
class PoolTasks:
    """The active tasks of a pool as it was when it was opened. Iterating reads them anew, some thousands at a time."""

    path: Path
    ids: array[int] = field(repr=False)
    format: str = "pool"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[CorpusTask]:
        with Queries.open(self.path) as reader:
            for start in range(0, len(self.ids), _AT_A_TIME):
                for task in reader.tasks.many(self.ids[start : start + _AT_A_TIME]):
                    yield CorpusTask(f"task {task.id}", task.instruction, task.instances)


Corpus = TaskFile | PoolTasks


def open_corpus(path: Path, origin: Origin | None = None) -> Corpus:
    """Look at `path` once, to its end, and return it as something to iterate.

    `origin` leaves out a pool's tasks of other origins, and says nothing about files. Raises UsageError, naming the first fault, for a file
    that is missing, faulty or without a task, and PoolError for a pool that cannot be read.
    """
    if not is_pool(path):
        return _file(path)
    with Queries.open(path) as reader:
        ids = reader.tasks.ids(origin=origin)
    if not ids:
        kind = f"{origin} task" if origin else "task"
        raise UsageError(f"pool {path} has no {kind}", "leave --origin out, or generate some first")
    return PoolTasks(path, ids)


def is_pool(path: Path) -> bool:
    """Return whether `path` is an SQLite database, and so perhaps a pool. Raises UsageError when it cannot be read."""
    if not is_regular(path):
        # A pipe gives its bytes once, and holds no pool.
        return False
    with readable(path), located(path).open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _file(path: Path) -> TaskFile:
    source, tally = Input(path), Tally()
    faults: list[FileFault] = []
    number = 0
    for parsed in parse(source):
        tally.add(parsed)
        number += len(parsed.faults)
        faults += parsed.faults[: FaultyFile.MOST - len(faults)]
    if not tally.records:
        faults.append(FileFault(0, "", "the file holds no task"))
    if faults:
        raise faulty_file(path, faults, f"it was read as {tally.format}; list every fault with: studio seeds check {path}", number)
    notes = (*source.notes, *tally.notes())
    source.notes.clear()
    return TaskFile(source, tally.format, tally.tasks, notes)


def at_places(corpus: Iterable[CorpusTask], places: Iterable[int]) -> dict[int, CorpusTask]:
    """Return the tasks at some places of `corpus`, counted from 0; it is read until the last of them."""
    wanted = set(places)
    end = max(wanted, default=-1) + 1
    return {place: task for place, task in enumerate(islice(corpus, end)) if place in wanted}


TOP = 10
_WIDTH = 100
SIMILAR = 0.5
"""Seeds above this ROUGE-L to each other make for monotonous prompts."""
NOT_NOVEL = 0.7
"""Above this the method itself would reject the later of the two."""
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class SimilarTasks:
    """One of our tasks and the first of theirs with the highest ROUGE-L F1 (0 to 1) of their instructions."""

    score: float
    ours: str
    theirs: str
    instruction: str
    other: str


@dataclass(frozen=True, slots=True)
class FileOverlap:
    """What the tasks of the first file have in common with those of the second.

    `mean` and `median` are over the first file's tasks, of the highest ROUGE-L F1 of the instruction to any of the second; `histogram`
    counts these in ten equal bins from 0 to 1. `contaminated` tasks share a run of `ngram` tokens, in their instruction, an input or an
    output, with any text of the second file; `comparable` tasks have a text that long, and the share is of all tasks. `pairs` are the
    most similar, best first.
    """

    tasks: int
    other_tasks: int
    mean: float
    median: float
    histogram: tuple[int, ...]
    ngram: int
    contaminated: int
    comparable: int
    pairs: tuple[SimilarTasks, ...]

    @property
    def contaminated_share(self) -> float:
        return self.contaminated / self.tasks if self.tasks else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**asdict(self), "contaminated_share": self.contaminated_share}


def compare_files(ours: Corpus, theirs: Corpus, *, top: int = TOP, tokenizer: str = "unicode", progress: Progress = silent) -> FileOverlap:
    """Compare every task of `ours` with every task of `theirs`; both are read three times at most, and only theirs is held, encoded.

    Raises UsageError or PoolError when a corpus changes into something unreadable meanwhile.
    """
    scores: list[float] = []
    best: list[tuple[float, int, int]] = []
    overlaps = highest_overlaps((task.instruction for task in ours), (task.instruction for task in theirs), tokenizer)
    for found in told(overlaps, progress, "comparing by ROUGE-L", len(ours), every=32):
        scores.append(found.score)
        if found.nearest is not None:
            # The negative place lets the earlier of two equal pairs win.
            heapq.heappush(best, (found.score, -found.index, found.nearest))
            if len(best) > top:
                heapq.heappop(best)
    shared = KnownRuns((task.texts for task in theirs), SIZE, tokenizer).shared(task.texts for task in ours)
    contaminated = comparable = 0
    for each in told(shared, progress, "comparing by 8-grams", len(ours)):
        contaminated += each.shared > 0
        comparable += each.runs > 0
    return FileOverlap(
        tasks=len(scores),
        other_tasks=len(theirs),
        mean=sum(scores) / len(scores) if scores else 0.0,
        median=median(scores) if scores else 0.0,
        histogram=histogram(scores),
        ngram=SIZE,
        contaminated=contaminated,
        comparable=comparable,
        pairs=tuple(_pairs(best, ours, theirs)),
    )


def _pairs(best: list[tuple[float, int, int]], ours: Corpus, theirs: Corpus) -> Iterator[SimilarTasks]:
    left = at_places(ours, (-place for _, place, _ in best))
    right = at_places(theirs, (nearest for _, _, nearest in best))
    for score, place, nearest in sorted(best, reverse=True):
        one, other = left[-place], right[nearest]
        yield SimilarTasks(score, one.label, other.label, one.instruction, other.instruction)


def overlap_report(found: FileOverlap, ours: str, theirs: str) -> Group:
    """Mean, histogram, shared runs of tokens and the most similar pairs, for a terminal. Instructions are harmless there, and no markup."""
    names = f"{display_line(ours)} ({found.tasks:,} tasks) to {display_line(theirs)} ({found.other_tasks:,})"
    mean = f"highest ROUGE-L of an instruction: mean {found.mean:.4f}, median {found.median:.4f}"
    shared = (
        f"{found.contaminated:,} tasks ({found.contaminated_share:.1%}) share {found.ngram} tokens in a row with the other file"
        f" ({found.comparable:,} have a text that long)"
    )
    parts: list[Text] = [Text(names, style="bold"), Text(mean), Text(), *counted_bins(found.histogram), Text(), Text(shared)]
    if found.pairs:
        parts += [Text(), Text("most similar", style="bold")]
        parts += [line for pair in found.pairs for line in _pair_lines(pair)]
    return Group(*parts)


def _pair_lines(pair: SimilarTasks) -> tuple[Text, Text]:
    width = max(len(pair.ours), len(pair.theirs))
    return (
        Text(f"{pair.score:.4f}  {pair.ours:>{width}}  {display_line(pair.instruction, _WIDTH)}"),
        Text(f"{'':6}  {pair.theirs:>{width}}  {display_line(pair.other, _WIDTH)}"),
    )


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two tasks of a file, by their lines and as their faults would name them, and their ROUGE-L F1 (0 to 1)."""

    line: int
    other: int
    score: float
    place: str
    other_place: str

    @property
    def warning(self) -> str:
        """What to tell of it."""
        strength = "the method would reject it as not new" if self.score > NOT_NOVEL else "very similar"
        return f"ROUGE-L {self.score:.2f} to {self.other_place}: {strength}"


@dataclass(frozen=True, slots=True)
class SeedFigures:
    """Counts of a seed file; of `unknown` tasks it does not say whether they are classification.

    Shares are between 0 and 1; `highest` is None when there are fewer than two tasks.
    """

    tasks: int
    classification: int
    unknown: int
    instances: int
    empty_inputs: int
    mean_words: float
    highest: SimilarPair | None
    similar: tuple[SimilarPair, ...]

    @property
    def classification_share(self) -> float:
        return self.classification / self.tasks if self.tasks else 0.0

    @property
    def empty_input_share(self) -> float:
        return self.empty_inputs / self.instances if self.instances else 0.0


def seed_figures(contents: SeedFile) -> SeedFigures:
    """Return the figures of `contents`. Each pair of tasks is compared once; a task keeps its ten most similar earlier ones."""
    tasks = contents.tasks
    instances = [instance for task in tasks for instance in task.instances]
    pairs = sorted(_similar_seeds(contents), key=lambda pair: (-pair.score, pair.line, pair.other))
    return SeedFigures(
        tasks=len(tasks),
        classification=sum(task.is_classification is True for task in tasks),
        unknown=sum(task.is_classification is None for task in tasks),
        instances=len(instances),
        empty_inputs=sum(not instance.input.strip() for instance in instances),
        mean_words=sum(len(task.instruction.split()) for task in tasks) / len(tasks) if tasks else 0.0,
        highest=pairs[0] if pairs else None,
        similar=tuple(pair for pair in pairs if pair.score > SIMILAR),
    )


def _similar_seeds(contents: SeedFile) -> Iterator[SimilarPair]:
    index = NoveltyIndex(TOKENIZERS["unicode"])
    instructions = [task.instruction for task in contents.tasks]
    for start in range(0, len(instructions), _CHUNK):
        texts = instructions[start : start + _CHUNK]
        batch = index.batch(texts)
        for offset in range(len(texts)):
            line, place = contents.lines[start + offset], contents.places[start + offset]
            for neighbour in batch.novelty(offset).neighbours:
                other = neighbour.task_id
                yield SimilarPair(line, contents.lines[other], neighbour.score, place, contents.places[other])
            batch.accept(offset, start + offset)
