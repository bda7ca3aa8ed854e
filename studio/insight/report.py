"""The statistics as tables for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.statistics import BINS, RoundRow, Statistics
from studio.loop.reasons import REASONS

BAR_WIDTH = 30
ROUNDS_SHOWN = 10


def report(figures: Statistics) -> Group:
    """All figures of a pool, beside the paper's."""
    parts: list[Table | Text] = [_scorecard(figures), Text(), _origins(figures)]
    if figures.candidates:
        parts += [Text(), _reasons(figures)]
    if figures.rounds:
        parts += [Text(), _rounds(figures.rounds)]
    if figures.generated:
        parts += [Text(), _histogram(figures)]
    return Group(*parts)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right")
    return table


def _scorecard(figures: Statistics) -> Table:
    table = _table("generated data", "this pool", "paper")
    rows = (
        ("instructions", f"{figures.generated:,}", f"{paper.INSTRUCTIONS:,}"),
        ("classification tasks", f"{figures.classification_share:.1%}", f"{paper.CLASSIFICATION_SHARE:.1%}"),
        ("instances", f"{figures.instances:,}", f"{paper.INSTANCES:,}"),
        ("instances a task", f"{figures.instances_per_task:.2f}", f"{paper.INSTANCES_PER_TASK:.2f}"),
        ("instances with empty input", f"{figures.empty_input_share:.1%}", f"{paper.EMPTY_INPUT_SHARE:.1%}"),
        ("mean words, instruction", f"{figures.mean_instruction_words:.1f}", f"{paper.MEAN_INSTRUCTION_WORDS:.1f}"),
        ("mean words, input (not empty)", f"{figures.mean_input_words:.1f}", f"{paper.MEAN_INPUT_WORDS:.1f}"),
        ("mean words, output", f"{figures.mean_output_words:.1f}", f"{paper.MEAN_OUTPUT_WORDS:.1f}"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _origins(figures: Statistics) -> Text:
    usable = f"{figures.tasks_with_instances:,} of the generated tasks have a usable instance"
    tokens = f"{figures.completion_tokens:,} tokens written, {figures.cached_tokens:,} of {figures.prompt_tokens:,} prompt tokens cached"
    return Text(f"pool: {figures.seeds:,} seed, {figures.generated:,} generated, {figures.imported:,} imported tasks; {usable}\n{tokens}")


def _reasons(figures: Statistics) -> Table:
    table = _table(f"candidates ({figures.candidates:,})", "count", "share", "why")
    table.columns[-1].justify = "left"
    table.add_row("accepted", f"{figures.accepted:,}", f"{figures.acceptance_rate:.1%}", REASONS["novel"])
    for reason, count in figures.rejected.items():
        table.add_row(reason, f"{count:,}", f"{count / figures.candidates:.1%}", REASONS.get(reason, ""))
    return table


def _rounds(rounds: tuple[RoundRow, ...]) -> Table:
    table = _table("round", "candidates", "accepted", "")
    table.columns[0].justify = "right"
    table.columns[-1].justify = "left"
    if len(rounds) > ROUNDS_SHOWN:
        table.add_row("...", "", "", f"the last {ROUNDS_SHOWN} of {len(rounds)}")
    for row in rounds[-ROUNDS_SHOWN:]:
        share = row.accepted / row.candidates if row.candidates else 0.0
        table.add_row(str(row.round), str(row.candidates), str(row.accepted), f"{_bar(share)} {share:.0%}")
    return table


def _histogram(figures: Statistics) -> Table:
    table = _table("highest ROUGE-L to a seed", "tasks", "")
    table.columns[-1].justify = "left"
    most = max(figures.seed_score_histogram)
    for place, count in enumerate(figures.seed_score_histogram):
        table.add_row(f"{place / BINS:.1f} to {(place + 1) / BINS:.1f}", f"{count:,}", _bar(count / most if most else 0.0))
    return table


def _bar(share: float) -> str:
    return "█" * round(share * BAR_WIDTH)
