"""Distributions as tables for a terminal: lengths in words, and highest ROUGE-L scores."""

from __future__ import annotations

from rich.table import Table

from studio.insight.bars import bar
from studio.insight.distributions import Bin, Distribution
from studio.insight.report_tables import plain_table
from studio.insight.statistics import BINS, Statistics

_WIDTH = 10
_SCORES_WIDTH = 16
_QUANTILES = {"q05": "5 % up to", "q25": "25 % up to", "median": "median", "q75": "75 % up to", "q95": "95 % up to", "maximum": "longest"}


def word_table(figures: Statistics) -> Table:
    """Quantiles of the words of instructions, inputs that are not empty, and outputs, and a histogram of each below."""
    table = plain_table("words", "instructions", "", "inputs", "", "outputs", "")
    for place in (2, 4, 6):
        table.columns[place].justify = "left"
    columns = (figures.instruction_words, figures.input_words, figures.output_words)
    for name, label in _QUANTILES.items():
        cells = [cell for each in columns for cell in (f"{getattr(each, name):,}" if each.count else "-", "")]
        table.add_row(label, *cells)
    table.add_row()
    for low, label in _labels(columns):
        table.add_row(label, *(cell for each in columns for cell in _cells(each, low)))
    return table


def score_table(figures: Statistics) -> Table:
    """Generated tasks by their highest ROUGE-L when they were decided."""
    table = plain_table("highest ROUGE-L", "to a seed", "", "to any task", "")
    for place in (2, 4):
        table.columns[place].justify = "left"
    seeds, tasks = figures.seed_score_histogram, figures.nearest_score_histogram
    table.add_row("mean", f"{figures.mean_seed_score:.3f}", "", f"{figures.mean_nearest_score:.3f}", "")
    for place, (seed, task) in enumerate(zip(seeds, tasks, strict=True)):
        edges = f"{place / BINS:.1f} to {(place + 1) / BINS:.1f}"
        table.add_row(
            edges, f"{seed:,}", bar(seed / (max(seeds) or 1), _SCORES_WIDTH), f"{task:,}", bar(task / (max(tasks) or 1), _SCORES_WIDTH)
        )
    return table


def _labels(columns: tuple[Distribution, ...]) -> list[tuple[int, str]]:
    bins = {each.low: each for column in columns for each in column.bins}
    return [(low, bins[low].label) for low in sorted(bins)]


def _cells(column: Distribution, low: int) -> tuple[str, str]:
    found = next((each for each in column.bins if each.low == low), Bin(low, low, 0))
    most = max((each.count for each in column.bins), default=0) or 1
    return f"{found.count:,}", bar(found.count / most, _WIDTH)
