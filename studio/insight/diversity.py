"""How diverse a pool's instructions are: in their words, without a parser and without embeddings; and all that is measured of it, in one
pass over its instructions, as figures and as tables for a terminal.

Verbs and objects are a model's words: each passes through `display_line`.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.phrases import NewVerbs, Parser, Phrase, PhraseFigures, VerbRound, phrase_figures
from studio.insight.tables import Progress, bar, grouped, plain_table, silent, told
from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line

WINDOW = 500
"""Words of the moving window; the size Covington and McFall use for a whole text."""
SAMPLE = 1000
"""Instructions compared with each other for the self-ROUGE-L: it grows with the sample, so only equal sizes compare."""
_PAIRS_AT_A_TIME = 1 << 20


@dataclass(frozen=True, slots=True)
class WordDiversity:
    """Figures of the words of some instructions, in the tokens of the `unicode` tokeniser; 0 where there is nothing to measure.

    `distinct_1` and `distinct_2` are distinct words and distinct pairs of neighbouring words, each over their number (Li et al. 2016,
    "A Diversity-Promoting Objective Function for Neural Conversation Models"); `distinct_1` is also the type-token ratio. Both fall as a
    pool grows. `mattr` does not: it is the mean type-token ratio of every window of `WINDOW` words, the instructions read one after
    another in the order of ids (Covington and McFall 2010, "Cutting the Gordian Knot"); of all words at once where there are fewer.
    `self_rouge_l` is the mean, over `sampled` instructions, of the highest ROUGE-L F1 to another of them: 0 is diverse, 1 is copies (the
    idea of self-BLEU, Zhu et al. 2018).
    """

    instructions: int
    words: int
    distinct_words: int
    distinct_1: float
    distinct_2: float
    mattr: float
    self_rouge_l: float
    sampled: int


class WordMeasures:
    """Takes instructions in one by one. Memory: the vocabulary, the sample, and some 30 bytes a distinct pair of words."""

    def __init__(self, *, sample: int = SAMPLE, seed: str = "0", window: int = WINDOW) -> None:
        self._tokenizer = TOKENIZERS["unicode"]
        self._vocabulary: dict[str, int] = {}
        self._pairs = _Pairs()
        self._moving = _MovingRatio(window)
        self._sample = _Sample(sample, Random(f"{seed}/diversity"))
        self.instructions = 0

    def add(self, task_id: int, instruction: str) -> None:
        """Take in one instruction; ids are distinct."""
        ids = [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in self._tokenizer(instruction)]
        self._pairs.add(ids)
        self._moving.add(ids)
        self._sample.add(task_id, instruction)
        self.instructions += 1

    def result(self) -> WordDiversity:
        """The figures of all that was added; the sample is compared here."""
        words, distinct = self._moving.words, len(self._vocabulary)
        pairs, distinct_pairs = self._pairs.totals()
        return WordDiversity(
            instructions=self.instructions,
            words=words,
            distinct_words=distinct,
            distinct_1=distinct / words if words else 0.0,
            distinct_2=distinct_pairs / pairs if pairs else 0.0,
            mattr=self._moving.value(),
            self_rouge_l=self_rouge_l(self._sample.chosen),
            sampled=len(self._sample.chosen),
        )


def self_rouge_l(instructions: list[tuple[int, str]]) -> float:
    """Return the mean of each instruction's highest ROUGE-L F1 to another one; 0 for fewer than two. Given are (id, instruction) pairs."""
    if len(instructions) < 2:
        return 0.0
    index = NoveltyIndex(TOKENIZERS["unicode"])
    index.extend((task_id, text, False) for task_id, text in instructions)
    batch = index.batch([text for _, text in instructions])
    highest = (
        next(each.score for each in batch.novelty(place).neighbours if each.task_id != task_id)
        for place, (task_id, _) in enumerate(instructions)
    )
    return sum(highest) / len(instructions)


class _Pairs:
    """Counts pairs of neighbouring words within an instruction, exactly, as sorted numbers."""

    def __init__(self) -> None:
        self._total = 0
        self._pending = array("Q")
        self._seen: NDArray[np.uint64] = np.empty(0, np.uint64)

    def add(self, ids: list[int]) -> None:
        self._pending.extend(first << 32 | second for first, second in pairwise(ids))
        if len(self._pending) >= _PAIRS_AT_A_TIME:
            self._merge()

    def totals(self) -> tuple[int, int]:
        """Pairs met, and how many of them are distinct."""
        self._merge()
        return self._total, len(self._seen)

    def _merge(self) -> None:
        self._total += len(self._pending)
        self._seen = np.union1d(self._seen, np.array(self._pending, dtype=np.uint64))
        self._pending = array("Q")


class _MovingRatio:
    """The mean type-token ratio of all windows of a stream of words."""

    def __init__(self, window: int) -> None:
        self.words = 0
        self._size = window
        self._window: deque[int] = deque()
        self._counts: Counter[int] = Counter()
        self._types = 0

    def add(self, ids: list[int]) -> None:
        for word in ids:
            self.words += 1
            self._window.append(word)
            self._counts[word] += 1
            if len(self._window) > self._size:
                oldest = self._window.popleft()
                self._counts[oldest] -= 1
                if not self._counts[oldest]:
                    del self._counts[oldest]
            if len(self._window) == self._size:
                self._types += len(self._counts)

    def value(self) -> float:
        windows = self.words - self._size + 1
        if windows > 0:
            return self._types / (windows * self._size)
        return len(self._counts) / self.words if self.words else 0.0


class _Sample:
    """A uniform sample of a stream whose length nobody knows (algorithm R), in the order in which places were taken."""

    def __init__(self, size: int, rng: Random) -> None:
        self.chosen: list[tuple[int, str]] = []
        self._size = size
        self._rng = rng
        self._met = 0

    def add(self, task_id: int, instruction: str) -> None:
        self._met += 1
        if len(self.chosen) < self._size:
            self.chosen.append((task_id, instruction))
        elif (place := self._rng.randrange(self._met)) < self._size:
            self.chosen[place] = (task_id, instruction)


BAR_WIDTH = 30
WORD_WIDTH = 24
"""Characters of a verb or noun that are shown."""
_STEP = 100
"""Tasks between two moves of the progress bar, whose drawing would otherwise cost more than the measuring."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """Figures of the active tasks of one origin, None being all.

    Without a parser `phrases` is None, `pipeline` and `rounds` are empty. `rounds` tells how many tasks of each round have a root verb
    that no earlier task of that origin had.
    """

    origin: Origin | None
    words: WordDiversity
    phrases: PhraseFigures | None
    pipeline: str
    rounds: tuple[VerbRound, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values with the shares and the paper's figures, for JSON."""
        phrases = self.phrases and {
            "pipeline": self.pipeline,
            **asdict(self.phrases),
            "pair_share": self.phrases.pair_share,
            "covered_share": self.phrases.covered_share,
            "rounds": [asdict(each) for each in self.rounds],
        }
        return {
            "origin": self.origin.value if self.origin else "all",
            "words": asdict(self.words),
            "phrases": phrases,
            "paper": {
                "instructions": paper.INSTRUCTIONS,
                "with_pair": paper.WITH_VERB_AND_OBJECT,
                "pair_share": paper.VERB_AND_OBJECT_SHARE,
                "covered_share": paper.COMMONEST_PAIRS_SHARE,
            },
        }


def diversity(
    pool: Queries, origin: Origin | None, parser: Parser | None, *, sample: int = SAMPLE, seed: str = "0", progress: Progress = silent
) -> Diversity:
    """Measure the active tasks of `origin`, None being all; without `parser` their words only."""
    words = WordMeasures(sample=sample, seed=seed)
    verbs = NewVerbs()
    waiting: deque[int | None] = deque()

    def instructions() -> Iterator[str]:
        tasks = pool.figures.active_instructions(origin)
        for task_id, instruction, number in told(tasks, progress, "measuring diversity", pool.figures.active(origin), every=_STEP):
            words.add(task_id, instruction)
            if parser is not None:
                waiting.append(number)
            yield instruction

    def phrases(parser: Parser) -> Iterator[Phrase | None]:
        # Phrases come in the order of instructions, which the parser reads a batch ahead.
        for phrase in parser.phrases(instructions()):
            verbs.add(waiting.popleft(), phrase)
            yield phrase

    if parser is None:
        deque(instructions(), maxlen=0)
        return Diversity(origin, words.result(), None, "")
    found = phrase_figures(phrases(parser))
    return Diversity(origin, words.result(), found, parser.name, verbs.result())


def diversity_report(figures: Diversity) -> Group:
    """The measures of the words and, where there was a parser, the tree of verbs and objects, beside the paper's figures."""
    which = f"{figures.origin} tasks" if figures.origin else "all tasks"
    parts: list[Table | Text] = [plain_table(f"words of {which}", "", rows=word_rows(figures.words))]
    if (found := figures.phrases) is not None:
        phrases = plain_table("root verbs and direct objects", "this pool", "paper", rows=phrase_rows(found))
        parts += [Text(), phrases, Text(f"parsed by {display_line(figures.pipeline, 60)}", style="dim")]
        if found.branches:
            parts += [Text(), plain_table("verb and its objects", "instructions", "share", "", rows=_tree_rows(found), left=(0, 3))]
        if figures.rounds:
            headings = ("rounds", "tasks", "with a verb", "new verbs", "share new", "")
            parts += [Text(), plain_table(*headings, rows=_round_rows(figures.rounds), left=(5,))]
    return Group(*parts)


def word_rows(words: WordDiversity) -> tuple[tuple[str, str], ...]:
    """Return each measure of the words, and its value."""
    return (
        ("instructions", f"{words.instructions:,}"),
        ("words, distinct words", f"{words.words:,}, {words.distinct_words:,}"),
        ("distinct-1 (type-token ratio)", f"{words.distinct_1:.4f}"),
        ("distinct-2", f"{words.distinct_2:.4f}"),
        (f"type-token ratio of {WINDOW} words (moving average)", f"{words.mattr:.4f}"),
        (f"self-ROUGE-L of {words.sampled:,} sampled instructions", f"{words.self_rouge_l:.4f}"),
    )


def phrase_rows(found: PhraseFigures) -> tuple[tuple[str, str, str], ...]:
    """Return what was found of verbs and objects, in this pool and in the paper's."""
    pairs = f"{found.with_pair:,} ({found.pair_share:.1%})"
    return (
        ("instructions", f"{found.instructions:,}", f"{paper.INSTRUCTIONS:,}"),
        ("with a verb", f"{found.with_verb:,}", ""),
        ("with a verb and its object", pairs, f"{paper.WITH_VERB_AND_OBJECT:,} ({paper.VERB_AND_OBJECT_SHARE:.1%})"),
        ("with one of the pairs below", f"{found.covered:,} ({found.covered_share:.1%})", f"({paper.COMMONEST_PAIRS_SHARE:.0%})"),
        ("distinct verbs", f"{found.distinct_verbs:,}", ""),
        ("distinct pairs", f"{found.distinct_pairs:,}", ""),
    )


def _tree_rows(found: PhraseFigures) -> Iterator[tuple[str, ...]]:
    most = found.branches[0].count
    for branch in found.branches:
        last = len(branch.objects) - 1
        objects = ((f"{'└─' if place == last else '├─'} ", noun, count) for place, (noun, count) in enumerate(branch.objects))
        for guide, word, count in (("", branch.verb, branch.count), *objects):
            share = f"{count / found.instructions:.1%}"
            yield f"{guide}{display_line(word, WORD_WIDTH)}", f"{count:,}", share, bar(count / most, BAR_WIDTH)


def _round_rows(rounds: tuple[VerbRound, ...]) -> Iterator[tuple[str, ...]]:
    for label, group in grouped(rounds, lambda row: row.round):
        tasks, with_verb, new = (sum(column) for column in zip(*((row.tasks, row.with_verb, row.new) for row in group), strict=True))
        yield label, f"{tasks:,}", f"{with_verb:,}", f"{new:,}", f"{new / tasks:.1%}", bar(new / tasks, 14)
