"""The pool's figures beside the paper's, why candidates fell, and how long the texts are, as text."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from studio.insight.distributions import Distribution
from studio.insight.report import beside_the_paper
from studio.insight.statistics import Statistics
from studio.text import spoken
from studio.tui.cells import fit

_ROW = 28
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
            ("instances", "Rejected instances"),
            ("lengths", "Words of the generated data"),
        ):
            block = Static(id=name, markup=False)
            block.border_title = Content(title)
            yield block

    def show(self, figures: Statistics) -> None:
        """Show other figures."""
        self.query_one("#paper", Static).update(_paper(figures))
        self.query_one("#outlook", Static).update(_outlook(figures))
        self.query_one("#reasons", Static).update(_reasons(figures.accepted, figures.rejected, figures.candidates))
        fallen = sum(figures.rejected_instances.values())
        instances = self.query_one("#instances", Static)
        instances.display = fallen > 0
        instances.update(_reasons(None, figures.rejected_instances, fallen))
        lengths = self.query_one("#lengths", Static)
        lengths.display = figures.instruction_words.count > 0
        lengths.update(_lengths((figures.instruction_words, figures.input_words, figures.output_words)))


def _paper(figures: Statistics) -> Content:
    names = (
        "instructions",
        "classification tasks",
        "instances",
        "instances a task",
        "instances, empty input",
        "words, instruction",
        "words, input if any",
        "words, output",
    )
    parts: list[str | tuple[str, str]] = [(f"{'':{_ROW}}{'pool':>10}{'paper':>10}", "$text-muted")]
    for name, (here, there) in zip(names, beside_the_paper(figures), strict=True):
        parts += [f"\n{name:{_ROW}}", (f"{here:>10}", "bold"), (f"{there:>10}", "$text-muted")]
    return Content.assemble(*parts)


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
    found = figures.saturation
    if found.expected is None or found.low is None or found.high is None:
        lines = [f"no estimate yet: {found.refused}"]
    else:
        lines = [
            f"{found.ahead:,} more candidates: about {found.expected:,.0f} new tasks",
            f"95 % interval {found.low:,.0f} to {found.high:,.0f}, from {found.rounds:,} rounds of the latest run",
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
