"""All that is measured of a pool's diversity, in one pass over its instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from studio.insight import paper
from studio.insight.diversity import SAMPLE, WordDiversity, WordMeasures
from studio.insight.parser import Parser
from studio.insight.phrases import PhraseFigures, phrase_figures
from studio.pool.queries import Queries
from studio.records import Origin

_STEP = 100
"""Tasks between two moves of the progress bar, whose drawing would otherwise cost more than the measuring."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """Figures of the active tasks of one origin, None being all. `phrases` is None without a parser, and `pipeline` empty."""

    origin: Origin | None
    words: WordDiversity
    phrases: PhraseFigures | None
    pipeline: str

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values with the shares and the paper's figures, for JSON."""
        phrases = self.phrases and {
            "pipeline": self.pipeline,
            **asdict(self.phrases),
            "pair_share": self.phrases.pair_share,
            "covered_share": self.phrases.covered_share,
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

    def instructions() -> Iterator[str]:
        for task_id, instruction in pool.active_instructions(origin):
            words.add(task_id, instruction)
            yield instruction
            if words.instructions % _STEP == 0:
                advance(_STEP)
        advance(words.instructions % _STEP)

    if parser is None:
        for _ in instructions():
            pass
        return Diversity(origin, words.result(), None, "")
    phrases = phrase_figures(parser.phrases(instructions()))
    return Diversity(origin, words.result(), phrases, parser.name)
