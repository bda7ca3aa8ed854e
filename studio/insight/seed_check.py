"""The figures of a seed file, and the pairs of seeds that say nearly the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS
from studio.seeds.reading import SeedFile

SIMILAR = 0.5
"""Seeds above this ROUGE-L to each other make for monotonous prompts."""
NOT_NOVEL = 0.7
"""Above this the method itself would reject the later of the two."""
_CHUNK = 256


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


def figures(contents: SeedFile) -> SeedFigures:
    """Return the figures of `contents`. Each pair of tasks is compared once; a task keeps its ten most similar earlier ones."""
    tasks = contents.tasks
    instances = [instance for task in tasks for instance in task.instances]
    pairs = sorted(_pairs(contents), key=lambda pair: (-pair.score, pair.line, pair.other))
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


def _pairs(contents: SeedFile) -> Iterator[SimilarPair]:
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
