"""What a page of the insight screen computes of a pool that changes; and the first of them: three plots, and figures beside the paper's."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from textual.app import ComposeResult
from textual.color import Color
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual_plotext import PlotextPlot

from studio.errors import StudioError
from studio.insight.statistics import BINS, RoundRow, SourceRow, Statistics, statistics
from studio.insight.statistics_report import scorecard_rows
from studio.insight.studies.raters import Share
from studio.insight.texts import Distribution
from studio.pool.figures import SOURCE_QUESTIONS
from studio.pool.pool import Queries
from studio.text import spoken
from studio.tui.base import ReadFailed, start_latest
from studio.tui.steering import PoolAccess
from studio.tui.widgets.frame import HeaderFacts, fit, header_facts

T = TypeVar("T")


class PoolPane(VerticalScroll, Generic[T]):
    """Shows what `figures` makes of the pool. Nothing is read before `look`; a pane that goes gives its question up."""

    DEFAULT_CSS = "PoolPane { scrollbar-size-vertical: 1; }"

    def __init__(self, path: Path, *, id: str) -> None:
        super().__init__(id=id)
        self._access = PoolAccess(path)
        self._version = -1
        self._looked = self._took_s = 0.0
        self.waiting = False

    def on_unmount(self) -> None:
        self._access.close()

    def look(self, *, now: bool = False) -> None:
        """Bring the figures up to date. If not `now`, not while that is under way, nor soon after it was costly: for some seconds then."""
        if now or (not self.waiting and time.monotonic() - self._looked >= 5 * self._took_s):
            self.waiting = True
            start_latest(self, "look", self._look)

    @abstractmethod
    def figures(self, pool: Queries) -> T:
        """Compute what is shown; on a thread that is not the screen's. Raises StudioError with what is to be said instead."""

    @abstractmethod
    def draw(self, figures: T) -> None:
        """Show them."""

    def fail(self, error: StudioError) -> None:
        self.post_message(ReadFailed(error))

    async def _look(self) -> None:
        before, started = self._version, time.monotonic()

        def question(pool: Queries) -> tuple[int, T | None]:
            version = pool.version()
            return version, None if version == before else self.figures(pool)

        try:
            self._version, found = await self._access.ask(question)
        except StudioError as error:
            self._answered(started)
            self.fail(error)
            return
        # Not where it was given up: then another look is under way.
        self._answered(started)
        if found is not None:
            self.draw(found)

    def _answered(self, started: float) -> None:
        self.waiting = False
        self._looked = time.monotonic()
        self._took_s = self._looked - started


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


_ROW = 30
_BAR = 14
_COLUMN = 13
_BLOCKS = 5


class Scorecard(Vertical):
    """Blocks of text; they wrap nowhere and are cut at the edge."""

    DEFAULT_CSS = """
    Scorecard { height: auto; }
    Scorecard #lengths { margin-bottom: 0; }
    Scorecard Static { height: auto; border-top: solid $border-blurred; border-title-color: $text-muted; padding: 0 1; margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        for name, title in (
            ("paper", "Generated data, beside the paper's"),
            ("outlook", "What comes, and what it costs"),
            ("reasons", "Candidates"),
            ("sources", "Where instructions come from"),
            ("instances", "Rejected instances"),
            ("lengths", "Words of the generated data"),
        ):
            block = Static(id=name, markup=False)
            block.border_title = Content(title)
            yield block

    def show(self, figures: Statistics) -> None:
        self.query_one("#paper", Static).update(_paper(figures))
        self.query_one("#outlook", Static).update(_outlook(figures))
        reasons = self.query_one("#reasons", Static)
        reasons.border_title = Content(f"Candidates, {figures.drafts:,} of the accepted still drafts" if figures.drafts else "Candidates")
        reasons.update(_reasons(figures.accepted, figures.rejected, figures.candidates))
        sources = self.query_one("#sources", Static)
        sources.display = bool(figures.sources)
        sources.update(_sources(figures.sources))
        fallen = sum(figures.rejected_instances.values())
        instances = self.query_one("#instances", Static)
        instances.display = fallen > 0
        instances.update(_reasons(None, figures.rejected_instances, fallen))
        lengths = self.query_one("#lengths", Static)
        lengths.display = figures.instruction_words.count > 0
        lengths.update(_lengths((figures.instruction_words, figures.input_words, figures.output_words)))


class Overview(PoolPane[tuple[Statistics, HeaderFacts]]):
    """The plots and the scorecard beside or, in a narrow window, below them."""

    @dataclass
    class Read(Message):
        """The figures of the pool as it is now."""

        figures: Statistics
        facts: HeaderFacts

    def compose(self) -> ComposeResult:
        with Horizontal(id="columns"):
            with VerticalScroll(id="plots", can_focus=False):
                yield YieldPlot(id="yields")
                yield AcceptancePlot(id="acceptance")
                yield SeedScorePlot(id="seed-scores")
            yield Scorecard()

    def figures(self, pool: Queries) -> tuple[Statistics, HeaderFacts]:
        return statistics(pool), header_facts(pool, self._access.path)

    def draw(self, figures: tuple[Statistics, HeaderFacts]) -> None:
        found, facts = figures
        if found.candidates:
            for plot in self.query(FigurePlot):
                plot.show(found)
            self.query_one(Scorecard).show(found)
        self.post_message(self.Read(found, facts))


def _paper(figures: Statistics) -> Content:
    parts: list[str | tuple[str, str]] = [(f"{'':{_ROW}}{'pool':>10}{'paper':>10}", "$text-muted")]
    for name, here, there in scorecard_rows(figures):
        parts += [f"\n{name:{_ROW}}", (f"{here:>10}", "bold"), (f"{there:>10}", "$text-muted")]
    return Content.assemble(*parts)


def _sources(rows: Sequence[SourceRow]) -> Content:
    """Each source with a bar of its acceptance; below, the share of yes that raters gave its tasks."""
    parts: list[str | tuple[str, str]] = [(f"{'':11}{'candidates':>10}{'accepted':>16}{'instances':>12}", "$text-muted")]
    for each in rows:
        figures = f"{each.accepted:>8,} {each.acceptance_rate:>6.1%}"
        parts += [f"\n{spoken(each.source):11}", f"{each.candidates:>10,}", (figures, "bold"), f" {each.instances:>11,} "]
        parts.append(("█" * round(each.acceptance_rate * _BAR), "$text-success"))
    rated = [each for each in rows if each.quality]
    if rated:
        parts.append(("\n\n% yes of the raters' answers", "$text-muted"))
    for name in SOURCE_QUESTIONS if rated else ():
        shares = "  ".join(f"{spoken(each.source)} {_percent(each.quality[name])}" for each in rated)
        parts += [f"\n{spoken(name):19}", (shares, "bold")]
    return Content.assemble(*parts)


def _percent(share: Share) -> str:
    return "-" if share.share is None else f"{share.share:.0%} of {share.count:,}"


def _lengths(columns: Sequence[Distribution]) -> Content:
    """Medians and the middle nine tenths, and a histogram whose bins double in width."""
    parts: list[str | tuple[str, str]] = [(f"{'':14}{'instruction':>{_COLUMN}}{'input':>{_COLUMN}}{'output':>{_COLUMN}}", "$text-muted")]
    for name, values in (
        ("median", [f"{each.median:,}" for each in columns]),
        ("90 % have", [f"{each.q05:,} to {each.q95:,}" for each in columns]),
        ("longest", [f"{each.maximum:,}" for each in columns]),
    ):
        cells = (value if each.count else "-" for value, each in zip(values, columns, strict=True))
        parts += [f"\n{name:14}", ("".join(f"{cell:>{_COLUMN}}" for cell in cells), "bold")]
    bins = {found.low: found.label for each in columns for found in each.bins}
    for low in sorted(bins):
        parts.append(f"\n{bins[low]:>12}  ")
        for each in columns:
            count = next((found.count for found in each.bins if found.low == low), 0)
            most = max((found.count for found in each.bins), default=1)
            filled = -(-count * _BLOCKS // most)
            number = f"{count:,}" if count else ""
            parts += [f"{number:>{_COLUMN - _BLOCKS - 1}} ", (f"{'█' * filled:{_BLOCKS}}", "$text-primary")]
    return Content.assemble(*parts)


def _outlook(figures: Statistics) -> Content:
    """What `studio stats` says of it, in fewer words: a column is narrow."""
    found = figures.saturation
    if found.expected is None or found.low is None or found.high is None:
        lines = [f"no estimate yet: {found.refused}"]
    else:
        lines = [
            f"{found.ahead:,} more candidates: about {found.expected:,.0f} new tasks",
            f"95 % interval {found.low:,.0f} to {found.high:,.0f}, at the {found.rate:.1%} accepted of the latest {found.candidates:,}",
        ]
    if figures.generated:
        lines.append(
            f"a task: {figures.written_tokens_per_task:,.0f} tokens written, {figures.read_tokens_per_task:,.0f} read,"
            f" at most {figures.seconds_per_task:,.2f} s"
        )
        lines.append(f"{figures.opening_words:,} different opening words")
    return Content("\n".join(lines))


def _reasons(accepted: int | None, rejected: dict[str, int], whole: int) -> Content:
    rows = [] if accepted is None else [("accepted", accepted, "$text-success")]
    rows += [(reason, count, "$text-error") for reason, count in rejected.items()]
    if not whole:
        return Content("none yet")
    parts: list[str | tuple[str, str]] = []
    for place, (reason, count, colour) in enumerate(rows):
        share = count / whole
        filled = round(share * _BAR)
        parts += ["\n" if place else "", (fit(spoken(reason), 24), colour), f"{count:>8,} {share:>6.1%} ", ("█" * filled, colour)]
    return Content.assemble(*parts)
