"""How much one file of tasks has in common with another: what `studio overlap` says."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from studio.insight.ngrams import SIZE, shared_ngrams
from studio.insight.overlap import highest_overlaps
from studio.insight.progress import Report, silent, told
from studio.insight.sources import Source, SourceTask, at_places
from studio.insight.statistics import histogram

TOP = 10
_LABEL_ROUGE = "comparing by ROUGE-L"
_LABEL_NGRAMS = "comparing by 8-grams"


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


def compare_files(ours: Source, theirs: Source, *, top: int = TOP, tokenizer: str = "unicode", report: Report = silent) -> FileOverlap:
    """Compare every task of `ours` with every task of `theirs`; both are read three times at most, and only theirs is held, encoded.

    Raises UsageError or PoolError when a source changes into something unreadable meanwhile.
    """
    scores: list[float] = []
    best: list[tuple[float, int, int]] = []
    overlaps = highest_overlaps(_instructions(ours), _instructions(theirs), tokenizer)
    for found in told(overlaps, report, _LABEL_ROUGE, len(ours), every=32):
        scores.append(found.score)
        if found.nearest is not None:
            # The negative place lets the earlier of two equal pairs win.
            heapq.heappush(best, (found.score, -found.index, found.nearest))
            if len(best) > top:
                heapq.heappop(best)
    shared = shared_ngrams((task.texts for task in ours), (task.texts for task in theirs), SIZE, tokenizer)
    contaminated = comparable = 0
    for each in told(shared, report, _LABEL_NGRAMS, len(ours)):
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
        pairs=_pairs(best, ours, theirs),
    )


def _instructions(source: Source) -> Iterator[str]:
    return (task.instruction for task in source)


def _pairs(best: list[tuple[float, int, int]], ours: Source, theirs: Source) -> tuple[SimilarTasks, ...]:
    left = at_places(ours, (-place for _, place, _ in best))
    right = at_places(theirs, (nearest for _, _, nearest in best))
    return tuple(_pair(score, left[-place], right[nearest]) for score, place, nearest in sorted(best, reverse=True))


def _pair(score: float, one: SourceTask, other: SourceTask) -> SimilarTasks:
    return SimilarTasks(score, one.label, other.label, one.instruction, other.instruction)
