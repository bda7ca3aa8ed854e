"""Why a candidate was decided as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.style import Style
from textual.content import Content
from textual.strip import Strip

from studio.loop.settings import Method
from studio.tui.evidence import Evidence
from studio.tui.explanation import Block, explain
from studio.tui.repaint import show_title
from studio.tui.rows import Row
from studio.tui.widgets.drawn_text import DrawnText

_GAP = 2
"""Cells between two columns."""


class Why(DrawnText):
    """The story of the candidate under the cursor."""

    HELP = """
    The candidate and its most similar task, with the words of their longest common subsequence marked in both: these make up ROUGE-L.
    `L` counts them, `m` and `n` are the words of the two texts; L/m and L/n are recall and precision, F1 their harmonic mean.
    Below: the ten most similar tasks, the in-context tasks it came from, and for an accepted one its classification and instances.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[Row | None, Evidence | None, Method | None] = (None, None, None)
        self._blocks: Sequence[Block] = ()
        self._strips: Sequence[Strip] = ()

    @property
    def strips(self) -> Sequence[Strip]:
        """Its lines."""
        return self._strips

    def paragraphs(self) -> Iterator[Content]:
        """The text column by column."""
        return (paragraph for block in self._blocks for column in block for paragraph in column.split("\n", allow_blank=True))

    def show(self, row: Row | None, evidence: Evidence | None, method: Method | None) -> None:
        """Explain `row`; without evidence only what the row itself says."""
        shown = (row, evidence, method)
        if shown == self._shown:
            return
        before, self._shown = self._shown[0], shown
        another = row is None or before is None or row.candidate != before.candidate
        if another and self.text_selection is not None:
            self.screen.clear_selection()
        show_title(self, "Why" if row is None or row.candidate is None else f"Why · candidate c{row.candidate.id}")
        self.draw_again()
        if another:
            self.scroll_home(animate=False)

    def make_strips(self) -> None:
        """Tell the story for the width that the pane has now."""
        width = self.line_width
        if not width:
            return
        self._blocks = list(explain(*self._shown, width))
        strips: list[Strip] = []
        place = 0
        for block in self._blocks:
            column_width = (width - _GAP * (len(block) - 1)) // len(block)
            columns = []
            for column in block:
                columns.append(self.wrapped(column, place, column_width))
                place += column.plain.count("\n") + 1
            strips += _beside(columns, column_width, self.visual_style.rich_style)
        self._strips = strips
        self.set_lines(len(strips))


def _beside(columns: Sequence[Sequence[Strip]], width: int, style: Style) -> Iterator[Strip]:
    """The lines of columns of `width` cells each, the space between them in `style`."""
    for line in zip_longest(*columns, fillvalue=Strip([])):
        *left, last = line
        yield Strip.join([*(strip.adjust_cell_length(width + _GAP, style) for strip in left), last])
