"""All that is measured of a pool's diversity, in one pass over its instructions, and as tables for a terminal.

Verbs and objects are a model's words: each passes through `display_line`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.diversity.parser import Parser
from studio.insight.diversity.phrases import NewVerbs, Phrase, PhraseFigures, VerbRound, phrase_figures
from studio.insight.diversity.words import SAMPLE, WINDOW, WordDiversity, WordMeasures
from studio.insight.progress import Progress, silent, told
from studio.insight.tables import bar, grouped, plain_table
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line

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
