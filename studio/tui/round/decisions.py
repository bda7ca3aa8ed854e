"""The decision table: every candidate of the round with its verdict, reason and ROUGE-L against the threshold.

Decided ones come from the pool, pending ones from the text that still streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from textual.content import Content

from studio.engine.api import FinishReason
from studio.loop.parsing import Answer, without_thoughts
from studio.loop.settings import DEFAULT_PROFILE, Method, profile
from studio.loop.stages.candidates import parse_candidates, parse_request
from studio.loop.tokens import unicode_tokens
from studio.pool.candidates import JudgedCandidate
from studio.records import Decider, Source, Stage, Verdict
from studio.text import bar, spoken
from studio.tui.round.live import LiveRound
from studio.tui.widgets.frame import SOURCES
from studio.tui.widgets.table import Cell, Column, RowTable

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
    source: Source | None = None

    @property
    def accepted(self) -> bool:
        return self.candidate is not None and self.candidate.verdict is Verdict.ACCEPTED

    @property
    def overruled(self) -> bool:
        return self.candidate is not None and self.candidate.decided_by is Decider.HUMAN


class Rows:
    """The rows of the table; of completions that are not decided yet only texts that changed are parsed again."""

    def __init__(self) -> None:
        self._parsed: dict[int, list[Row]] = {}

    def clear(self) -> None:
        self._parsed.clear()

    def of(self, live: LiveRound, method: Method | None) -> list[Row]:
        """The round's candidates as the pool has them or, until they are decided, as the texts fall apart, prompt by prompt.

        The last item of a text that still grows is left out: it is not known to be complete.
        """
        tokenizer = method.tokenizer if method is not None else "unicode"
        view = live.view
        if view is not None and (view.candidates or view.next_stage not in (Stage.INSTRUCTIONS, Stage.FILTER)):
            return [
                Row(each.request_ordinal, each.text, count_words(each.text, tokenizer), each, position, each.source)
                for position, each in enumerate(view.candidates)
            ]
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
    answer = replace(Answer(text.text) if method.leaves_thoughts else without_thoughts(text.text), truncated=False)
    prompt = live.prompt(ordinal)
    if prompt is not None and prompt.source is Source.TEMPLATE:
        items = [parse_request(prompt.text, answer)]
    elif prompt is not None and prompt.passage is not None:
        items = [parse_request(prompt.begun, answer)]
    else:
        items = parse_candidates(method, answer, method.in_context_tasks + 1)
    if growing:
        items = items[:-1]
    source = None if prompt is None else prompt.source
    counted = {row.text: row for row in before}
    return [
        counted.get(item.text) or Row(ordinal, item.text, count_words(item.text, tokenizer), source=source) for item in items if item.text
    ]


EMPTY = "Candidates appear here as the completions fall apart,\nand their verdicts when the filter has decided them."
_BAR = 11


class DecisionTable(RowTable):
    """A line a candidate."""

    HELP = """
    One line a candidate: verdict, text, words, reason, and its highest ROUGE-L to anything in the pool as a bar. The cross in the
    bar is the threshold: `━━┿━` is too similar, `━─┼─` is new. The last column is the most similar task.
    In chat another column tells the source: a prompt with in-context tasks, or the chat template, in which the model writes the request.
    Rows marked `·` are not decided yet, rows with `✎` were decided by you. Move with the arrows or `j` and `k`; the pane *Why*
    explains the row.
    """
    DEFAULT_CSS = """
    DecisionTable { border-top: solid $border-blurred; border-title-color: $foreground-muted; }
    DecisionTable:focus { border-top: solid $primary; border-title-color: $primary; border-title-style: bold; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__((), empty=EMPTY, id=id)
        self._rows: Sequence[Row] = ()
        self._method: Method | None = None

    @property
    def count(self) -> int:
        return len(self._rows)

    @property
    def row(self) -> Row | None:
        return self._rows[self.cursor] if self._rows else None

    def show(self, rows: Sequence[Row], method: Method | None) -> None:
        """Show `rows`; the cursor stays on its candidate where that is still there."""
        if method is self._method and rows == self._rows:
            return
        before = self.row
        self._rows, self._method = rows, method
        accepted = sum(row.accepted for row in rows)
        decided = any(row.candidate is not None for row in rows)
        words = f" · {accepted} of {len(rows)} accepted" if decided else f" · {len(rows)} candidates" if rows else ""
        self.border_title = Content(f"Decisions{words}")
        self._fit_columns()
        self.show_count()
        self.cursor = self._place_of(before)

    def on_resize(self) -> None:
        """Another width has room for other columns."""
        self._fit_columns()

    def _fit_columns(self) -> None:
        columns = tuple(_columns(self.scrollable_content_region.width, self._method))
        if columns != self.columns:
            self.columns = columns
            self.refresh()

    def seek(self, fits: Callable[[str], bool], *, again: bool) -> None:
        """Move the cursor to the next candidate whose text `fits`; behind the present one if `again`."""
        self.seek_row(lambda row: fits(self._rows[row].text), again=again)

    def cells(self, row: int) -> Sequence[Cell]:
        each = self._rows[row]
        return [self._cell(each, column.title) for column in self.columns]

    def _cell(self, row: Row, title: str) -> Cell:
        found = row.candidate
        colour = "note" if row.overruled else "good" if row.accepted else "muted"
        match title:
            case "":
                return ("·" if found is None else "✓" if row.accepted else "✗") + ("✎" if row.overruled else ""), colour
            case "candidate":
                return row.text, "" if row.accepted or found is None else "muted"
            case "w":
                return str(row.words), "muted"
            case "source":
                return "" if row.source is None else SOURCES[row.source][0], "muted"
            case "src":
                return "" if row.source is None else SOURCES[row.source][1], "muted"
            case "reason":
                return "pending" if found is None else "by you" if row.overruled else spoken(found.reason), colour
            case "score":
                return "" if found is None else f"{found.score:.3f}", "muted"
            case "nearest":
                return "" if found is None or found.nearest is None else f"#{found.nearest}", "muted"
            case _:
                if found is None or self._method is None:
                    return "", ""
                threshold = self._method.threshold
                return bar(found.score, _BAR, threshold), "bad" if found.score >= threshold else "good"

    def _place_of(self, row: Row | None) -> int:
        if row is None or row.candidate is None:
            return self.cursor if row is not None and any(each.candidate is None for each in self._rows) else 0
        wanted = row.candidate.id
        return next((place for place, each in enumerate(self._rows) if each.candidate is not None and each.candidate.id == wanted), 0)


def _columns(width: int, method: Method | None) -> Iterator[Column]:
    """The columns for `width` cells: text and verdict always, then score, reason, bar, source, words, nearest as there is room."""
    yield Column("", 2)
    yield Column("candidate", 0)
    if method is not None and method.asking == "chat" and width >= 56:
        yield Column("source", 8) if width >= 76 else Column("src", 4)
        width -= 9 if width >= 76 else 5
    if width >= 65:
        yield Column("w", 3, right=True)
    if width >= 50:
        yield Column("reason", 10)
    if width >= 59:
        yield Column(f"ROUGE-L {method.threshold:g}" if method is not None else "ROUGE-L", 12)
    yield Column("score", 5, right=True)
    if width >= 77:
        yield Column("nearest", 7)
