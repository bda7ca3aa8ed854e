"""What only comparing shows: near-duplicate instructions, contradictory answers, overlap with a file.

ROUGE-L, which the loop decides novelty by, follows the order of words; the measure of near-duplicates does not: the Jaccard index of two
sets of words, |A ∩ B| / |A ∪ B|. The join is exact, by prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007):
two sets with an index of at least t share a word among the first |A| - ⌈t |A|⌉ + 1 of each, when all sets are sorted in one order; with the
rarest words first few others share those.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintOptions, Measured, Part, Tasks, texts_of
from studio.insight.overlap import open_corpus
from studio.insight.texts import SIZE, KnownRuns, highest_overlaps
from studio.loop.tokens import unicode_tokens
from studio.pool.stream import LintTask

_ROUNDING = 1e-9
"""0.8 times 5 must be 4, not a little more."""


class _Sets:
    """The word sets of all instructions, one after another in one array: 4 bytes a word, 16 a task."""

    def __init__(self) -> None:
        self.task_ids = array("q")
        self._words = array("I")
        self._starts = array("Q", [0])
        self._numbers: dict[str, int] = {}

    def add(self, task_id: int, instruction: str) -> None:
        numbers = self._numbers
        self._words.extend({numbers.setdefault(word, len(numbers)) for word in unicode_tokens(instruction)})
        self._starts.append(len(self._words))
        self.task_ids.append(task_id)

    def sort_rarest_first(self) -> None:
        """Number the words anew, the rarest lowest, and forget what they were."""
        import numpy as np

        self._numbers.clear()
        words = np.frombuffer(self._words, dtype=np.uint32)
        counts = np.bincount(words)
        ranks = np.empty(len(counts), dtype=np.uint32)
        ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.uint32)
        self._words = array("I", ranks[words].tobytes())

    def size(self, place: int) -> int:
        return self._starts[place + 1] - self._starts[place]

    def __getitem__(self, place: int) -> Sequence[int]:
        return self._words[self._starts[place] : self._starts[place + 1]]


def _near_duplicate(tasks: Tasks, options: LintOptions) -> Iterator[Finding]:
    sets = _Sets()
    for task in tasks(with_instances=False):
        sets.add(task.id, task.instruction)
    if not sets.task_ids:
        return
    sets.sort_rarest_first()
    for place, other, index in near_duplicates(sets, len(sets.task_ids), options.near, tasks):
        yield Finding(sets.task_ids[place], None, Part.INSTRUCTION, f"{index:.2f} of the words are shared"[:EXCERPT], sets.task_ids[other])


def near_duplicates(sets: _Sets, count: int, least: float, tasks: Tasks) -> Iterator[tuple[int, int, float]]:
    """Yield (place, earlier place, Jaccard index) of each set that is at least `least` like an earlier one that was not yielded itself.

    So no two of those that are not yielded are near-duplicates. Of several, the most similar is named, the earliest of equal ones.
    """
    kept: dict[int, array[int]] = {}
    for place in range(count):
        tasks.advance()
        words = sorted(sets[place])
        if not words:
            continue
        needed = math.ceil(least * len(words) - _ROUNDING)
        prefix = words[: len(words) - needed + 1]
        best = _nearest(sets, words, {other for word in prefix for other in kept.get(word, ())}, least)
        if best is not None:
            yield place, *best
            continue
        for word in prefix:
            kept.setdefault(word, array("I")).append(place)


def _nearest(sets: _Sets, words: Sequence[int], others: set[int], least: float) -> tuple[int, float] | None:
    mine, size = set(words), len(words)
    best: tuple[float, int] | None = None
    for other in others:
        other_size = sets.size(other)
        if least * max(size, other_size) > min(size, other_size) + _ROUNDING:
            continue
        common = len(mine.intersection(sets[other]))
        index = common / (size + other_size - common)
        if index >= least - _ROUNDING and (best is None or (-index, other) < best):
            best = (-index, other)
    return None if best is None else (best[1], -best[0])


NEAR_DUPLICATE = Lint(
    code="near-duplicate",
    title="the instruction has nearly the words of an earlier one, in whatever order",
    help=(
        "The words of the instruction and of an earlier one (case and punctuation apart, each counted once) have a Jaccard index of at "
        "least 0.8, or what --near says. The earlier one is not reported, so what is left without the findings has no near-duplicates. All "
        "pairs are considered, exactly: a join by the rarest words of each. Instances are not compared."
    ),
    note=(
        "One changed word can turn a task round (“the largest”, “the smallest”): from nine different words on such pairs are reported. The "
        "same task in other words is not found. Of scripts without spaces the characters are compared, and short instructions look alike "
        "too soon."
    ),
    measured=Measured(6, 8, 2, 8),
    faulty=("Name three rivers in Germany and France.   and   In France and Germany, name three rivers.",),
    sound=("Name three rivers.   and   Name three rivers in Europe that reach the sea.",),
    search=_near_duplicate,
    passes=2,
)


_EDGES = " .!?,;:'\"“”‘’"


def _contradiction(tasks: Tasks, _options: LintOptions) -> Iterator[Finding]:
    """Keep 32 bytes for each instance of a classification task, and sort."""
    import numpy as np

    questions, answers, owners, instances = array("q"), array("q"), array("q"), array("q")
    for task in tasks():
        if not task.is_classification:
            continue
        for instance in task.instances:
            questions.append(_digest(task.instruction, instance.input, instance.system))
            answers.append(_digest(instance.output.strip(_EDGES)))
            owners.append(task.id)
            instances.append(instance.id)
    if not questions:
        return
    asked, given = np.frombuffer(questions, np.int64), np.frombuffer(answers, np.int64)
    order = np.argsort(asked, kind="stable")
    starts = np.flatnonzero(np.diff(asked[order], prepend=asked[order[0]] ^ 1))
    groups = np.split(order, starts[1:]) if len(starts) < len(order) else []
    found = []
    for group in groups:
        if len(group) < 2 or len(set(given[group].tolist())) < 2:
            continue
        for place in group.tolist():
            rival = next(each for each in group.tolist() if given[each] != given[place])
            found.append(Finding(owners[place], instances[place], Part.OUTPUT, "", owners[rival]))
    yield from sorted(found)


def _digest(*texts: str) -> int:
    """Return 63 bits that stand for the texts, case and white space apart."""
    joined = "\0".join(" ".join(text.casefold().split()) for text in texts)
    return int.from_bytes(hashlib.blake2b(joined[: 1 << 20].encode("utf-8", "replace"), digest_size=8).digest()) >> 1


CONTRADICTION = Lint(
    code="contradiction",
    title="the same classification question has different answers",
    help=(
        "Instances of classification tasks, of one task or of several, with the same instruction and input, case and white space apart, "
        "and different outputs, case and punctuation at the ends apart. All of them are reported: which is right is not known."
    ),
    note="Questions in other words are not brought together, so most contradictions are not found; synonyms for one label are reported.",
    measured=Measured(4, 6, 2, 6),
    faulty=("Is the review good or bad? | I loved it. → good   and   is the review good or bad? | I loved  it. → bad",),
    sound=("Is the review good or bad? | I loved it. → good   and   Is the review good or bad? | I loved it. → Good.",),
    search=_contradiction,
)


_AT_A_TIME = 256
"""Tasks whose texts are looked up together."""


def _contamination(tasks: Tasks, options: LintOptions) -> Iterator[Finding]:
    """Go through the pool once: runs of eight tokens as it is read, the ROUGE-L of its instructions a batch at a time."""
    theirs: list[str] = []

    def their_texts() -> Iterator[Sequence[str]]:
        for path in options.against:
            for task in open_corpus(path):
                theirs.append(task.instruction)
                yield task.texts

    known = KnownRuns(their_texts())
    task_ids = array("q")
    found: list[Finding] = []

    def instructions() -> Iterator[str]:
        remaining = iter(tasks())
        while chunk := list(islice(remaining, _AT_A_TIME)):
            found.extend(_with_shared_runs(known, chunk))
            task_ids.extend(task.id for task in chunk)
            yield from (task.instruction for task in chunk)

    for overlap in highest_overlaps(instructions(), theirs):
        if overlap.score >= options.overlap and overlap.nearest is not None:
            words = f"ROUGE-L {overlap.score:.2f}: {theirs[overlap.nearest]}"
            found.append(Finding(task_ids[overlap.index], None, Part.INSTRUCTION, words[:EXCERPT]))
    yield from sorted(found, key=lambda each: (each.task_id, each.instance_id or 0, each.words))


def _with_shared_runs(known: KnownRuns, tasks: Sequence[LintTask]) -> Iterator[Finding]:
    texts = [(task.id, *place) for task in tasks for place in texts_of(task)]
    for (task_id, part, instance_id, text), shared in zip(texts, known.shared([text] for *_, text in texts), strict=True):
        if shared.first is not None:
            words = " ".join(unicode_tokens(text)[shared.first : shared.first + SIZE])
            yield Finding(task_id, instance_id, part, words[:EXCERPT])


CONTAMINATION = Lint(
    code="contamination",
    title="overlap with an evaluation file",
    help=(
        "With --against FILE: the instruction has a ROUGE-L F1 of at least 0.7 (or what --overlap says) to an instruction of the file, or "
        "any text of the task shares a run of eight words with any text of it. The scores are exact. FILE is another pool, or of any "
        "format that `studio import` reads."
    ),
    note=(
        "Both measures see words: the same question in other words is not found. A common phrase (“what is the sentiment of the following "
        "sentence”) is eight words long and is reported."
    ),
    measured=Measured(5, 6, 1, 6),
    faulty=("Write a haiku about the sea in autumn.   where the file has   Write a haiku about the sea in winter.",),
    sound=("Write a haiku about a mountain.   where the file has   Explain what a haiku is.",),
    search=_contamination,
    needs_file=True,
)
