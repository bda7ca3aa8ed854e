"""The decision table: every candidate of the round with its verdict, reason and ROUGE-L against the threshold.

Decided ones come from the pool, pending ones from the text that still streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.reactive import reactive
from textual.strip import Strip

from studio.engine.api import FinishReason
from studio.loop.settings import DEFAULT_PROFILE, Method, profile
from studio.loop.stages.instructions import parse_candidates
from studio.loop.thoughts import Answer, without_thoughts
from studio.loop.tokens import unicode_tokens
from studio.pool.candidates import JudgedCandidate
from studio.records import Decider, Stage, Verdict
from studio.text import spoken
from studio.tui.cells import POINTER, bar, clip, fit, pad
from studio.tui.keys import bind
from studio.tui.repaint import show_title
from studio.tui.round.live import LiveRound
from studio.tui.widgets.table import StillView

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
    items = parse_candidates(method, replace(answer, truncated=False), method.in_context_tasks + 1)
    if growing:
        items = items[:-1]
    counted = {row.text: row for row in before}
    return [counted.get(item.text) or Row(ordinal, item.text, count_words(item.text, tokenizer)) for item in items if item.text]


EMPTY = (
    "Candidates appear here as the completions fall apart,",
    "and their verdicts when the filter has decided them.",
)
_BAR = 11
_KEPT = 500
"""Lines that are kept, a few screens full."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns fit a width, and how wide the text is."""

    text: int
    words: bool
    reason: int
    bar: bool
    nearest: bool

    @staticmethod
    def of(width: int) -> Columns:
        """The layout for `width` cells: text and verdict always, then score, reason, bar, words, nearest as there is room."""
        room = width - 3 - 6 - 1
        reason = 10 if width >= 48 else 0
        with_bar = width >= 56
        words = width >= 62
        nearest = width >= 74
        room -= (reason + 1 if reason else 0) + (_BAR + 1 if with_bar else 0) + (4 if words else 0) + (8 if nearest else 0)
        return Columns(max(room, 8), words, reason, with_bar, nearest)


class DecisionTable(StillView, can_focus=True):
    """A virtual table: each line is drawn when it is seen, so a round may have thousands of candidates."""

    HELP = """
    One line a candidate: verdict, text, words, reason, and its highest ROUGE-L to anything in the pool as a bar. The cross in the
    bar is the threshold: `━━┿━` is too similar, `━─┼─` is new. The last column is the most similar task.
    Rows marked `·` are not decided yet, rows with `✎` were decided by you. Move with the arrows or `j` and `k`; the pane *Why*
    explains the row.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "decisions--accepted",
        "decisions--rejected",
        "decisions--human",
        "decisions--muted",
        "decisions--over",
        "decisions--cursor",
        "decisions--cursor-blurred",
    }

    DEFAULT_CSS = """
    DecisionTable {
        border-top: solid $border-blurred;
        border-title-color: $foreground-muted;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        & .decisions--accepted { color: $success; }
        & .decisions--rejected { color: $foreground-muted; }
        & .decisions--human { color: $accent; text-style: bold; }
        & .decisions--muted { color: $foreground-muted; }
        & .decisions--over { color: $error; }
        & .decisions--cursor { background: $block-cursor-background; }
        & .decisions--cursor-blurred { background: $block-cursor-blurred-background; }
    }
    DecisionTable:focus {
        border-top: solid $primary;
        border-title-color: $primary;
        border-title-style: bold;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "Up", "The candidate above.", show=False),
        bind("down", "move(1)", "Down", "The candidate below.", show=False),
        bind("page-up", "page(-1)", "Page up", "A page up.", show=False),
        bind("page-down", "page(1)", "Page down", "A page down.", show=False),
        bind("first", "move(-1000000)", "First", "The first candidate.", show=False),
        bind("last", "move(1000000)", "Last", "The last candidate.", show=False),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._method: Method | None = None
        self._drawn: dict[tuple[Row | None, Columns], Strip] = {}
        """Rows without a cursor. They are drawn anew with each candidate that comes."""

    @property
    def row(self) -> Row | None:
        """The candidate under the cursor."""
        return self._rows[self.cursor] if self._rows else None

    def show(self, rows: Sequence[Row], method: Method | None) -> None:
        """Show `rows`; the cursor stays on its candidate where that is still there."""
        if method is self._method and rows == self._rows:
            return
        before = self.row
        if method is not self._method:
            self._drawn.clear()
        self._rows, self._method = rows, method
        self.set_lines(len(rows) + (1 if rows else 0))
        accepted = sum(row.accepted for row in rows)
        decided = any(row.candidate is not None for row in rows)
        words = f" · {accepted} of {len(rows)} accepted" if decided else f" · {len(rows)} candidates" if rows else ""
        show_title(self, f"Decisions{words}")
        self.cursor = self._place_of(before)
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        """Stay within the rows."""
        return min(max(cursor, 0), max(len(self._rows) - 1, 0))

    def watch_cursor(self, before: int, after: int) -> None:
        """Bring it into view; of the lines, only the two that look different are drawn."""
        if self._rows:
            top, height = round(self.scroll_y), max(self.scrollable_content_region.height - 1, 1)
            if self.cursor < top:
                self.scroll_to(y=self.cursor, animate=False)
            elif self.cursor >= top + height:
                self.scroll_to(y=self.cursor - height + 1, animate=False)
        # The head is the first line.
        self.refresh_line(before + 1)
        self.refresh_line(after + 1)

    def seek(self, fits: Callable[[str], bool], *, again: bool) -> None:
        """Move the cursor to the next candidate whose text `fits`; behind the present one if `again`."""
        count = len(self._rows)
        for step in range(1 if again else 0, count + 1):
            place = (self.cursor + step) % count
            if fits(self._rows[place].text):
                self.cursor = place
                return

    def action_move(self, by: int) -> None:
        """Move the cursor by that many rows."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Move the cursor by pages."""
        self.cursor += by * max(self.scrollable_content_region.height - 2, 1)

    def on_click(self, event: events.Click) -> None:
        """A click picks the row."""
        offset = event.get_content_offset(self)
        if offset is not None and self._rows and offset.y > 0:
            self.cursor = round(self.scroll_y) + offset.y - 1

    def render_line(self, y: int) -> Strip:
        """The head in the first line, then the rows from where it is scrolled to."""
        width = self.scrollable_content_region.width
        if not self._rows:
            text = f" {EMPTY[y]}" if y < len(EMPTY) else ""
            return Strip([Segment(pad(text, width), self.rich_style + self._style("muted"))])
        columns = Columns.of(width)
        if y == 0:
            return Strip([Segment(pad(_head(columns, self._method), width), self.rich_style + self._style("muted"))], width)
        place = round(self.scroll_y) + y - 1
        row = self._rows[place] if place < len(self._rows) else None
        if row is None or place != self.cursor:
            return self._resting(row, columns, width)
        base = self.rich_style
        name = "cursor" if self.has_focus else "cursor-blurred"
        background = Style(bgcolor=self.get_component_rich_style(f"decisions--{name}").bgcolor)
        strip = Strip(self._segments(row, columns, base, POINTER)).adjust_cell_length(width, base)
        return Strip([Segment(text, (style or base) + background) for text, style, _ in strip], width)

    def notify_style_update(self) -> None:
        """Lines carry their colours, which another theme changes."""
        super().notify_style_update()
        self._drawn.clear()

    def _resting(self, row: Row | None, columns: Columns, width: int) -> Strip:
        """The line of a row without the cursor, or of no row."""
        drawn = self._drawn.get((row, columns))
        if drawn is None:
            base = self.rich_style
            if len(self._drawn) > _KEPT:
                self._drawn.clear()
            segments = self._segments(row, columns, base, " ") if row is not None else []
            drawn = self._drawn[row, columns] = Strip(segments).adjust_cell_length(width, base)
        return drawn

    def _segments(self, row: Row, columns: Columns, base: Style, lead: str) -> list[Segment]:
        found = row.candidate
        muted = base + self._style("muted")
        verdict = base + self._style("human" if row.overruled else "accepted" if row.accepted else "rejected")
        mark = "·" if found is None else "✓" if row.accepted else "✗"
        segments = [
            Segment(lead + mark + ("✎" if row.overruled else " "), verdict),
            Segment(fit(row.text, columns.text), base if row.accepted or found is None else muted),
        ]
        if columns.words:
            segments.append(Segment(f"{row.words:>4}"[:4], muted))
        if columns.reason:
            reason = "pending" if found is None else "by you" if row.overruled else spoken(found.reason)
            segments.append(Segment(" " + fit(reason, columns.reason), verdict))
        if columns.bar:
            segments += self._bar(row, base)
        score = "      " if found is None else f" {found.score:>5.3f}"
        segments.append(Segment(score, muted))
        if columns.nearest:
            nearest = "" if found is None or found.nearest is None else f"#{found.nearest}"
            segments.append(Segment(" " + fit(nearest, 7), muted))
        return segments

    def _bar(self, row: Row, base: Style) -> list[Segment]:
        found = row.candidate
        if found is None or self._method is None:
            return [Segment(" " * (_BAR + 1), base)]
        text = bar(found.score, _BAR, self._method.threshold)
        filled = sum(char in "━┿" for char in text)
        style = self._style("over" if found.score >= self._method.threshold else "accepted")
        return [Segment(" ", base), Segment(text[:filled], base + style), Segment(text[filled:], base + self._style("muted"))]

    def _style(self, name: str) -> Style:
        """The foreground of a component class, without its background."""
        style = self.get_component_rich_style(f"decisions--{name}")
        return Style(color=style.color, bold=style.bold)

    def _place_of(self, row: Row | None) -> int:
        if row is None or row.candidate is None:
            return self.cursor if row is not None and any(each.candidate is None for each in self._rows) else 0
        wanted = row.candidate.id
        for place, each in enumerate(self._rows):
            if each.candidate is not None and each.candidate.id == wanted:
                return place
        return 0


def _head(columns: Columns, method: Method | None) -> str:
    words = "   " + pad("candidate", columns.text)
    words += "   w" if columns.words else ""
    words += " " + pad("reason", columns.reason) if columns.reason else ""
    threshold = f"ROUGE-L {method.threshold:g}" if method is not None else "ROUGE-L"
    # Two decimals need the cell before the bar as well.
    words += clip(threshold, _BAR + 1).rjust(_BAR + 1) if columns.bar else ""
    words += " score"
    return words + (" nearest" if columns.nearest else "")
