"""The statistics as tables for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.statistics.distributions import Bin, Distribution
from studio.insight.statistics.figures import BINS, RoundRow, Statistics
from studio.insight.statistics.saturation import Saturation
from studio.insight.tables import bar, plain_table
from studio.loop.filters import REASONS

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


GROUPS = 12
"""Lines for the rounds; of more rounds, neighbours are summed up."""


def report(figures: Statistics) -> Group:
    """All figures of a pool, beside the paper's."""
    parts: list[Table | Text] = [_scorecard(figures), Text(), _origins(figures)]
    if figures.generated:
        parts += [Text(), word_table(figures)]
    if figures.candidates:
        parts += [Text(), _reasons(figures)]
    if figures.rounds:
        parts += [Text(), _rounds(figures.rounds), Text(saturation_line(figures.saturation))]
    if figures.generated:
        parts += [Text(), score_table(figures)]
    return Group(*parts)


def saturation_line(found: Saturation) -> str:
    """What the next candidates are expected to bring, or why nobody can say."""
    if found.expected is None or found.low is None or found.high is None:
        return f"no estimate of what more candidates would bring: {found.refused}"
    return (
        f"another {found.ahead:,} candidates: about {found.expected:,.0f} new tasks (95 % interval {found.low:,.0f} to {found.high:,.0f}),"
        f" from {found.rounds:,} rounds of the latest run"
    )


def cost_line(figures: Statistics) -> str:
    """What a generated task costs."""
    return (
        f"a task costs {figures.written_tokens_per_task:,.0f} tokens written, {figures.read_tokens_per_task:,.0f} read,"
        f" and at most {figures.seconds_per_task:,.2f} s"
    )


def beside_the_paper(figures: Statistics) -> tuple[tuple[str, str], ...]:
    """The figures of the paper's table 1, each as this pool's and the paper's, in its order: instructions, classification tasks, instances,
    instances a task, empty inputs, words of instructions, inputs and outputs."""
    return (
        (f"{figures.generated:,}", f"{paper.INSTRUCTIONS:,}"),
        (f"{figures.classification_share:.1%}", f"{paper.CLASSIFICATION_SHARE:.1%}"),
        (f"{figures.instances:,}", f"{paper.INSTANCES:,}"),
        (f"{figures.instances_per_task:.2f}", f"{paper.INSTANCES_PER_TASK:.2f}"),
        (f"{figures.empty_input_share:.1%}", f"{paper.EMPTY_INPUT_SHARE:.1%}"),
        (f"{figures.mean_instruction_words:.1f}", f"{paper.MEAN_INSTRUCTION_WORDS:.1f}"),
        (f"{figures.mean_input_words:.1f}", f"{paper.MEAN_INPUT_WORDS:.1f}"),
        (f"{figures.mean_output_words:.1f}", f"{paper.MEAN_OUTPUT_WORDS:.1f}"),
    )


def _scorecard(figures: Statistics) -> Table:
    table = plain_table("generated data", "this pool", "paper")
    for row in scorecard_rows(figures):
        table.add_row(*row)
    return table


def scorecard_rows(figures: Statistics) -> tuple[tuple[str, str, str], ...]:
    """Return the paper's table 1: what is counted, this pool's figure, and the paper's."""
    names = (
        "instructions",
        "classification tasks",
        "instances",
        "instances a task",
        "instances with empty input",
        "mean words, instruction",
        "mean words, input (not empty)",
        "mean words, output",
    )
    return tuple((name, *values) for name, values in zip(names, beside_the_paper(figures), strict=True))


def _origins(figures: Statistics) -> Text:
    usable = f"{figures.tasks_with_instances:,} of the generated tasks have a usable instance"
    tokens = f"{figures.completion_tokens:,} tokens written, {figures.cached_tokens:,} of {figures.prompt_tokens:,} prompt tokens cached"
    apart = f" ({figures.held_out:,} of them held out)" if figures.held_out else ""
    lines = [f"pool: {figures.seeds:,} seed{apart}, {figures.generated:,} generated, {figures.imported:,} imported tasks; {usable}", tokens]
    if figures.generated:
        lines.append(cost_line(figures))
    return Text("\n".join(lines))


def _reasons(figures: Statistics) -> Table:
    table = plain_table(f"candidates ({figures.candidates:,})", "count", "share", "why")
    table.columns[-1].justify = "left"
    table.add_row("accepted", f"{figures.accepted:,}", f"{figures.acceptance_rate:.1%}", REASONS["novel"])
    for reason, count in figures.rejected.items():
        table.add_row(reason, f"{count:,}", f"{count / figures.candidates:.1%}", REASONS.get(reason, ""))
    return table


def _rounds(rounds: tuple[RoundRow, ...]) -> Table:
    table = plain_table("rounds", "candidates", "accepted", "", "new opening words")
    table.columns[0].justify = "right"
    table.columns[3].justify = "left"
    size = -(-len(rounds) // GROUPS)
    for start in range(0, len(rounds), size):
        group = rounds[start : start + size]
        candidates, accepted = sum(row.candidates for row in group), sum(row.accepted for row in group)
        new = sum(row.new_openings for row in group)
        label = f"{group[0].round:,}" if len(group) == 1 else f"{group[0].round:,} to {group[-1].round:,}"
        share = accepted / candidates if candidates else 0.0
        opened = f"{new:,} ({new / accepted:.1%})" if accepted else "0"
        table.add_row(label, f"{candidates:,}", f"{accepted:,}", f"{bar(share, 14)} {share:.1%}", opened)
    return table
