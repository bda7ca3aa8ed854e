"""All that is measured of a pool's diversity, in one pass over its instructions, and as tables for a terminal.

Verbs and objects are a model's words: each passes through `display_line`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.diversity.parser import Parser
from studio.insight.diversity.phrases import Branch, NewVerbs, Phrase, PhraseFigures, VerbRound, phrase_figures, summed
from studio.insight.diversity.words import SAMPLE, WINDOW, WordDiversity, WordMeasures
from studio.insight.statistics.report import GROUPS
from studio.insight.tables import bar, plain_table
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line

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
    pool: Queries,
    origin: Origin | None,
    parser: Parser | None,
    *,
    sample: int = SAMPLE,
    seed: str = "0",
    advance: Callable[[int], object] = lambda _: None,
) -> Diversity:
    """Measure the active tasks of `origin`, None being all; without `parser` their words only.

    `advance` is called with the number of tasks read since its last call.
    """
    words = WordMeasures(sample=sample, seed=seed)
    waiting: deque[int | None] = deque()
    verbs = NewVerbs()

    def instructions() -> Iterator[str]:
        for task_id, instruction, number in pool.active_instructions(origin):
            words.add(task_id, instruction)
            if parser is not None:
                waiting.append(number)
            yield instruction
            if words.instructions % _STEP == 0:
                advance(_STEP)
        advance(words.instructions % _STEP)

    if parser is None:
        for _ in instructions():
            pass
        return Diversity(origin, words.result(), None, "")

    def phrases(parser: Parser) -> Iterator[Phrase | None]:
        # Phrases come in the order of instructions, which the parser reads a batch ahead.
        for phrase in parser.phrases(instructions()):
            verbs.add(waiting.popleft(), phrase)
            yield phrase

    found = phrase_figures(phrases(parser))
    return Diversity(origin, words.result(), found, parser.name, verbs.result())


BAR_WIDTH = 30
WORD_WIDTH = 24
"""Characters of a verb or noun that are shown."""


def diversity_report(figures: Diversity) -> Group:
    """The measures of the words and, where there was a parser, the tree of verbs and objects, beside the paper's figures."""
    which = f"{figures.origin} tasks" if figures.origin else "all tasks"
    parts: list[Table | Text] = [_words(which, figures.words)]
    if figures.phrases is not None:
        parts += [Text(), _phrases(figures.phrases), Text(f"parsed by {display_line(figures.pipeline, 60)}", style="dim")]
        if figures.phrases.branches:
            parts += [Text(), _tree(figures.phrases)]
        if figures.rounds:
            parts += [Text(), _rounds(figures.rounds)]
    return Group(*parts)


def _words(which: str, words: WordDiversity) -> Table:
    table = plain_table(f"words of {which}", "")
    for row in word_rows(words):
        table.add_row(*row)
    return table


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


def _phrases(found: PhraseFigures) -> Table:
    table = plain_table("root verbs and direct objects", "this pool", "paper")
    for row in phrase_rows(found):
        table.add_row(*row)
    return table


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


def _tree(found: PhraseFigures) -> Table:
    table = plain_table("verb and its objects", "instructions", "share", "")
    table.columns[-1].justify = "left"
    most = found.branches[0].count
    for branch in found.branches:
        for name, count in _lines(branch):
            table.add_row(Text(name), f"{count:,}", f"{count / found.instructions:.1%}", bar(count / most, BAR_WIDTH))
    return table


def _rounds(rounds: tuple[VerbRound, ...]) -> Table:
    table = plain_table("rounds", "tasks", "with a verb", "new verbs", "share new", "")
    table.columns[0].justify = "right"
    table.columns[-1].justify = "left"
    size = -(-len(rounds) // GROUPS)
    for start in range(0, len(rounds), size):
        group = rounds[start : start + size]
        whole = summed(group)
        label = f"{group[0].round:,}" if len(group) == 1 else f"{group[0].round:,} to {group[-1].round:,}"
        share = whole.new / whole.tasks
        table.add_row(label, f"{whole.tasks:,}", f"{whole.with_verb:,}", f"{whole.new:,}", f"{share:.1%}", bar(share, 14))
    return table


def _lines(branch: Branch) -> list[tuple[str, int]]:
    last = len(branch.objects) - 1
    objects = [
        (f"{'└─' if place == last else '├─'} {display_line(noun, WORD_WIDTH)}", count) for place, (noun, count) in enumerate(branch.objects)
    ]
    return [(display_line(branch.verb, WORD_WIDTH), branch.count), *objects]
