"""The three plots of the insight screen, drawn with plotext."""

from __future__ import annotations

from collections.abc import Sequence

from textual.color import Color
from textual.content import Content
from textual_plotext import PlotextPlot

from studio.insight.statistics import BINS, RoundRow, Statistics


class FigurePlot(PlotextPlot):
    """A plot of the pool's figures, drawn anew when they or its size change."""

    DEFAULT_CSS = """
    FigurePlot { height: 12; min-height: 8; border-top: solid $border-blurred; border-title-color: $text-muted; padding: 0 1; }
    """
    TITLE = ""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content(self.TITLE)
        self._figures: Statistics | None = None

    def show(self, figures: Statistics) -> None:
        """Draw other figures."""
        self._figures = figures
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._figures is None or not self.size.width:
            return
        self.plt.clear_data()
        self.plt.xticks([], [])
        self.plt.yticks([], [])
        self.draw(self._figures)
        self.refresh()

    def draw(self, figures: Statistics) -> None:
        """Plot the figures with `self.plt`."""

    def colour(self, name: str) -> tuple[int, int, int]:
        """A colour of the theme, as plotext takes it."""
        return Color.parse(self.app.theme_variables.get(name, "white")).rgb


class YieldPlot(FigurePlot):
    """Candidates of each round, the accepted part below."""

    TITLE = "Candidates by round: accepted █, rejected ░"

    def draw(self, figures: Statistics) -> None:
        bins = _binned(figures.rounds, max(self.size.width - 10, 10))
        if not bins:
            return
        first = [row.round for row in bins]
        # The second lies over the first; the marks tell them apart where there is no colour.
        self.plt.bar(first, [row.candidates for row in bins], width=0.8, color=self.colour("error"), marker="░")
        self.plt.bar(first, [row.accepted for row in bins], width=0.8, color=self.colour("success"), marker="█")
        self._ticks(first, [row.candidates for row in bins])

    def _ticks(self, first: Sequence[int], heights: Sequence[int]) -> None:
        self.plt.xticks(*_ticks(first))
        top = max(heights) or 1
        self.plt.ylim(0, top)
        self.plt.yticks([0, top], ["0", str(top)])


class AcceptancePlot(FigurePlot):
    """The share of candidates that each round's decisions accepted, and of the tasks that opened with a word no task before them had."""

    TITLE = "% accepted ─, % of tasks with a new opening word ○"

    def draw(self, figures: Statistics) -> None:
        bins = [row for row in _binned(figures.rounds, max(self.size.width - 10, 10)) if row.candidates]
        if not bins:
            return
        shares = [100 * row.accepted / row.candidates for row in bins]
        places = [row.round for row in bins]
        yielding = [row for row in bins if row.accepted]
        opened = [100 * min(row.new_openings / row.accepted, 1) for row in yielding]
        self.plt.scatter([row.round for row in yielding], opened, color=self.colour("secondary"), marker="○")
        self.plt.plot(places, shares, color=self.colour("primary"), marker="braille" if len(bins) > 1 else "dot")
        self.plt.xticks(*_ticks(places))
        self.plt.ylim(0, 100)
        self.plt.yticks([0, 50, 100], ["0", "50", "100"])


class SeedScorePlot(FigurePlot):
    """How similar the generated tasks are to the seeds, and to the nearest task of any kind."""

    TITLE = "Tasks by highest ROUGE-L to a seed █, to any task ░"

    def draw(self, figures: Statistics) -> None:
        seeds, tasks = figures.seed_score_histogram, figures.nearest_score_histogram
        if not any(seeds):
            return
        # Two bars side by side in each bin.
        for counts, shift, colour, mark in ((seeds, 0.25, "secondary", "█"), (tasks, 0.75, "accent", "░")):
            places = [(place + shift) / BINS for place in range(BINS)]
            self.plt.bar(places, list(counts), width=0.45, color=self.colour(colour), marker=mark)
        edges = [place / BINS for place in range(0, BINS + 1, 2)]
        self.plt.xticks(edges, [f"{edge:.1f}" for edge in edges])
        self.plt.xlim(0, 1)
        top = max(*seeds, *tasks)
        self.plt.ylim(0, top)
        self.plt.yticks([0, top], ["0", f"{top:,}"])


def _binned(rounds: Sequence[RoundRow], most: int) -> list[RoundRow]:
    """Rows for at most `most` columns: neighbouring rounds are summed up under the number of the first."""
    size = max(-(-len(rounds) // most), 1)
    groups = [rounds[start : start + size] for start in range(0, len(rounds), size)]
    return [
        RoundRow(
            group[0].round,
            sum(row.candidates for row in group),
            sum(row.accepted for row in group),
            sum(row.new_openings for row in group),
        )
        for group in groups
    ]


def _ticks(places: Sequence[int]) -> tuple[list[float], list[str]]:
    step = max(len(places) // 6, 1)
    chosen = list(places[::step])
    return [float(place) for place in chosen], [str(place) for place in chosen]
