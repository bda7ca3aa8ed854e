"""The pool's figures beside the paper's, and why candidates fell, as text."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from studio.insight import paper
from studio.insight.statistics import Statistics
from studio.tui.cells import fit

_ROW = 28
_BAR = 14


class Scorecard(Vertical):
    """Two blocks of text; both wrap nowhere and are cut at the edge."""

    DEFAULT_CSS = """
    Scorecard { height: auto; }
    Scorecard Static { height: auto; border-top: solid $border-blurred; border-title-color: $text-muted; padding: 0 1; margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        for name, title in (
            ("paper", "Generated data, beside the paper's"),
            ("reasons", "Candidates"),
            ("instances", "Rejected instances"),
        ):
            block = Static(id=name, markup=False)
            block.border_title = Content(title)
            yield block

    def show(self, figures: Statistics) -> None:
        """Show other figures."""
        self.query_one("#paper", Static).update(_paper(figures))
        self.query_one("#reasons", Static).update(_reasons(figures.accepted, figures.rejected, figures.candidates))
        fallen = sum(figures.rejected_instances.values())
        instances = self.query_one("#instances", Static)
        instances.display = fallen > 0
        instances.update(_reasons(None, figures.rejected_instances, fallen))


def _paper(figures: Statistics) -> Content:
    rows = (
        ("instructions", f"{figures.generated:,}", f"{paper.INSTRUCTIONS:,}"),
        ("classification tasks", f"{figures.classification_share:.1%}", f"{paper.CLASSIFICATION_SHARE:.1%}"),
        ("instances", f"{figures.instances:,}", f"{paper.INSTANCES:,}"),
        ("instances a task", f"{figures.instances_per_task:.2f}", f"{paper.INSTANCES_PER_TASK:.2f}"),
        ("instances, empty input", f"{figures.empty_input_share:.1%}", f"{paper.EMPTY_INPUT_SHARE:.1%}"),
        ("words, instruction", f"{figures.mean_instruction_words:.1f}", f"{paper.MEAN_INSTRUCTION_WORDS:.1f}"),
        ("words, input if any", f"{figures.mean_input_words:.1f}", f"{paper.MEAN_INPUT_WORDS:.1f}"),
        ("words, output", f"{figures.mean_output_words:.1f}", f"{paper.MEAN_OUTPUT_WORDS:.1f}"),
    )
    parts: list[str | tuple[str, str]] = [(f"{'':{_ROW}}{'pool':>10}{'paper':>10}", "$text-muted")]
    for name, here, there in rows:
        parts += [f"\n{name:{_ROW}}", (f"{here:>10}", "bold"), (f"{there:>10}", "$text-muted")]
    return Content.assemble(*parts)


def _reasons(accepted: int | None, rejected: dict[str, int], whole: int) -> Content:
    rows = [] if accepted is None else [("accepted", accepted, "$text-success")]
    rows += [(reason, count, "$text-error") for reason, count in rejected.items()]
    if not whole:
        return Content("none yet")
    parts: list[str | tuple[str, str]] = []
    for place, (reason, count, colour) in enumerate(rows):
        share = count / whole
        filled = round(share * _BAR)
        parts += ["\n" if place else "", (fit(reason, 24), colour), f"{count:>8,} {share:>6.1%} ", ("█" * filled, colour)]
    return Content.assemble(*parts)
