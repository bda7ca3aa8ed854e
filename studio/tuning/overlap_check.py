"""Whether tasks to evaluate on have been trained on: the check without which a figure is worth nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from studio.errors import UsageError
from studio.insight.overlap.corpus import SourceTask
from studio.insight.overlap.measures import SIZE, KnownRuns, highest_overlaps, shared_ngrams
from studio.loop.tokens import unicode_tokens
from studio.pool.studies.evaluations import EvaluationItem
from studio.records import Instance
from studio.seeds.faults import readable

THRESHOLD = 0.7
"""ROUGE-L F1 from which on two instructions count as one: what the method itself calls too similar."""
_AT_A_TIME = 256
"""Training texts that are looked up together."""
TRAINED_ON = ("train.jsonl", "validation.jsonl")
"""What `studio finetune` leaves beside an adapter: the data it learned from, and the data it chose the best step by."""


class Training(Protocol):
    """Tasks that a model was or may have been trained on, to be iterated as often as asked."""

    def __iter__(self) -> Iterator[SourceTask]: ...


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """One of the files that `studio finetune` leaves beside an adapter."""

    path: Path

    def __iter__(self) -> Iterator[SourceTask]:
        with readable(self.path), self.path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                label = f"line {number} of {self.path.name}"
                try:
                    record = json.loads(line)
                    texts = (record["instruction"], record.get("input", ""), record["completion"])
                except (ValueError, LookupError, AttributeError, TypeError) as error:
                    raise UsageError(f"{self.path}, {label}: no record of a training", "name the adapter where it was trained") from error
                instruction, given, completion = map(str, texts)
                yield SourceTask(label, instruction, (Instance(given, completion),))


@dataclass(frozen=True, slots=True)
class ItemOverlap:
    """An item that is too near to a training task, `label`: by the ROUGE-L of the instructions, or by a run of eight words they share."""

    item: EvaluationItem
    label: str
    score: float
    shared: str

    @property
    def reason(self) -> str:
        """What they have in common, in words."""
        return f"shares “{self.shared}”" if self.shared else f"ROUGE-L {self.score:.2f}"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "key": self.item.key,
            "instruction": self.item.instruction,
            "trained_on": self.label,
            "rouge_l": self.score,
            "shared": self.shared,
        }


def training_files(adapter: Path) -> list[TrainingFile]:
    """Return the files of training data beside an adapter; none where the first of them is missing."""
    files = [TrainingFile(adapter.parent / name) for name in TRAINED_ON]
    return [file for file in files if file.path.is_file()] if files[0].path.is_file() else []


def overlapping(items: Sequence[EvaluationItem], training: Training) -> list[ItemOverlap]:
    """Return the items that come too near to a task of `training`, in their order, each with the first such task.

    Too near are instructions with a ROUGE-L F1 of `THRESHOLD` or more, and items whose instruction, input or reference output shares a run
    of eight words with any text of a task. Every pair is compared.
    """
    labels = (each.label for each in training)
    scores = list(highest_overlaps((item.instruction for item in items), (each.instruction for each in training)))
    near = {found.nearest for found in scores if found.score >= THRESHOLD}
    named = {place: label for place, label in enumerate(labels) if place in near}
    shared = shared_ngrams((_texts(item) for item in items), (each.texts for each in training))
    found = []
    for item, score, run in zip(items, scores, shared, strict=True):
        if score.score >= THRESHOLD and score.nearest is not None:
            found.append(ItemOverlap(item, named[score.nearest], score.score, ""))
        elif run.shared:
            found.append(ItemOverlap(item, *_sharing(item, training, score.score)))
    return found


def _sharing(item: EvaluationItem, training: Training, score: float) -> tuple[str, float, str]:
    """Return the first training task that shares a run of words with an item, and the run."""
    known = KnownRuns([_texts(item)])
    texts = ((task.label, text) for task in training for text in task.texts)
    while chunk := list(islice(texts, _AT_A_TIME)):
        for (label, text), run in zip(chunk, known.shared([text] for _, text in chunk), strict=True):
            if run.first is not None:
                return label, score, " ".join(unicode_tokens(text)[run.first : run.first + SIZE])
    # The training data has changed between two looks at it: better left out than trusted.
    return "another task", score, "a run of eight words"


def _texts(item: EvaluationItem) -> tuple[str, ...]:
    return (item.instruction, *(text for text in (item.input, *item.outputs) if text))
