"""Candidates as the decision table shows them: decided ones from the pool, pending ones from the text that still streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from studio.engine.api import FinishReason
from studio.loop.profiles import DEFAULT_PROFILE, profile
from studio.loop.settings import Method
from studio.loop.stages.filter import parse
from studio.loop.thoughts import Answer, without_thoughts
from studio.loop.tokens import unicode_tokens
from studio.pool.candidates import JudgedCandidate
from studio.records import Decider, Stage, Verdict
from studio.tui.live import LiveRound

_COUNTED = 20_000
"""Characters of a text whose words are counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate. `candidate` is None while it is pending: its text may still grow."""

    request_ordinal: int
    text: str
    words: int
    candidate: JudgedCandidate | None = None
    position: int = -1
    """Its place among the candidates of the round."""

    @property
    def accepted(self) -> bool:
        """Whether the decision that holds accepts it."""
        return self.candidate is not None and self.candidate.verdict is Verdict.ACCEPTED

    @property
    def overruled(self) -> bool:
        """Whether a human decided it."""
        return self.candidate is not None and self.candidate.decided_by is Decider.HUMAN


def decided_rows(live: LiveRound, tokenizer: str) -> list[Row]:
    """The round's candidates as the pool has them."""
    view = live.view
    if view is None:
        return []
    return [
        Row(each.request_ordinal, each.text, count_words(each.text, tokenizer), each, position)
        for position, each in enumerate(view.candidates)
    ]


class PendingRows:
    """The candidates of completions that are not decided yet; only texts that changed are parsed again."""

    def __init__(self) -> None:
        self._parsed: dict[int, list[Row]] = {}

    def clear(self) -> None:
        """Forget the round."""
        self._parsed.clear()

    def rows(self, live: LiveRound, method: Method | None) -> list[Row]:
        """All of them, prompt by prompt. The last item of a text that still grows is left out: it is not known to be complete."""
        tokenizer = method.tokenizer if method is not None else "unicode"
        for stage, ordinal in sorted(live.changed_texts):
            if stage is Stage.INSTRUCTIONS:
                self._parsed[ordinal] = _pending(live, ordinal, method, tokenizer, self._parsed.get(ordinal, ()))
        return [row for ordinal in sorted(self._parsed) for row in self._parsed[ordinal]]


def count_words(text: str, tokenizer: str) -> int:
    """Words as the length filter counts them under that tokeniser."""
    piece = text[:_COUNTED]
    return len(unicode_tokens(piece)) if tokenizer == "unicode" else len(piece.split())


def _pending(live: LiveRound, ordinal: int, method: Method | None, tokenizer: str, before: Sequence[Row]) -> list[Row]:
    text = live.texts.get((Stage.INSTRUCTIONS, ordinal))
    method = method or profile(DEFAULT_PROFILE)
    if text is None or method.variant == "alpaca":
        return []
    growing = text.completion is None or text.completion.finish_reason is FinishReason.CANCELLED
    answer = Answer(text.text) if method.keep_thoughts else without_thoughts(text.text)
    items = parse(method, replace(answer, truncated=False), method.in_context_tasks + 1)
    if growing:
        items = items[:-1]
    counted = {row.text: row for row in before}
    return [counted.get(item.text) or Row(ordinal, item.text, count_words(item.text, tokenizer)) for item in items if item.text]
