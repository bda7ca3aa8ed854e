"""All that is measured of a pool's diversity, in one pass over its instructions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from studio.insight import paper
from studio.insight.diversity import SAMPLE, WordDiversity, WordMeasures
from studio.insight.new_verbs import NewVerbs, VerbRound
from studio.insight.parser import Parser
from studio.insight.phrases import Phrase, PhraseFigures, phrase_figures
from studio.pool.pool import Queries
from studio.records import Origin

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
