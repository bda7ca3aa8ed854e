"""The statistics as tables for a terminal, and as rows for pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight import paper
from studio.insight.statistics import RoundRow, Saturation, SourceRow, Statistics
from studio.insight.tables import bar, bin_edges, grouped, plain_table
from studio.insight.texts import Bin, Distribution
from studio.loop.filters import REASONS
from studio.pool.figures import SOURCE_QUESTIONS
from studio.records import SOURCE_WORDS, Source
from studio.text import display_line, spoken

_WORDS_WIDTH = 10
_SCORES_WIDTH = 16
_FILES = 30
"""Files that are listed on a terminal."""
_QUANTILES = {"q05": "5 % up to", "q25": "25 % up to", "median": "median", "q75": "75 % up to", "q95": "95 % up to", "maximum": "longest"}


def report(figures: Statistics) -> Group:
    """All figures of a pool, beside the paper's."""
    scorecard = plain_table("generated data", "this pool", "paper", rows=scorecard_rows(figures))
    parts: list[Table | Text] = [scorecard, Text(), _origins(figures)]
    if figures.files or figures.documents:
        parts += _files(figures)
    if figures.generated:
        parts += [Text(), _words(figures)]
    if figures.candidates:
        parts += [Text(), _reasons(figures)]
    for table in source_tables(figures.sources) if figures.sources else ():
        parts += [Text(), table]
    if figures.rounds:
        parts += [Text(), _rounds(figures.rounds), Text(saturation_line(figures.saturation))]
    if figures.generated:
        parts += [Text(), _scores(figures)]
    return Group(*parts)


def saturation_line(found: Saturation) -> str:
    """What the next candidates bring at the acceptance of the latest, or why nobody can say."""
    if found.expected is None or found.low is None or found.high is None:
        return f"no estimate of what more candidates would bring: {found.refused}"
    before = "" if found.earlier_rate is None else f"; {found.earlier_rate:.1%} before"
    return (
        f"another {found.ahead:,} candidates: about {found.expected:,.0f} new tasks (95 % interval {found.low:,.0f} to {found.high:,.0f}),"
        f" at the {found.rate:.1%} accepted of the latest {found.candidates:,}{before}"
    )


def cost_line(figures: Statistics) -> str:
    """What a generated task costs."""
    return (
        f"a task costs {figures.written_tokens_per_task:,.0f} tokens written, {figures.read_tokens_per_task:,.0f} read,"
        f" and at most {figures.seconds_per_task:,.2f} s"
    )


def scorecard_rows(figures: Statistics) -> tuple[tuple[str, str, str], ...]:
    """Return the paper's table 1: what is counted, this pool's figure, and the paper's."""
    return (
        ("instructions", f"{figures.generated:,}", f"{paper.INSTRUCTIONS:,}"),
        ("classification tasks", f"{figures.classification_share:.1%}", f"{paper.CLASSIFICATION_SHARE:.1%}"),
        ("instances", f"{figures.instances:,}", f"{paper.INSTANCES:,}"),
        ("instances a task", f"{figures.instances_per_task:.2f}", f"{paper.INSTANCES_PER_TASK:.2f}"),
        ("instances with empty input", f"{figures.empty_input_share:.1%}", f"{paper.EMPTY_INPUT_SHARE:.1%}"),
        ("mean words, instruction", f"{figures.mean_instruction_words:.1f}", f"{paper.MEAN_INSTRUCTION_WORDS:.1f}"),
        ("mean words, input (not empty)", f"{figures.mean_input_words:.1f}", f"{paper.MEAN_INPUT_WORDS:.1f}"),
        ("mean words, output", f"{figures.mean_output_words:.1f}", f"{paper.MEAN_OUTPUT_WORDS:.1f}"),
    )


FILE_HEADINGS = ("file", "brought as", "format", "tasks", "licence", "sha256")


def file_rows(figures: Statistics) -> tuple[tuple[str, ...], ...]:
    """Return what seeds and imports were brought from, and which documents tasks were written for, a file a row, under `FILE_HEADINGS`."""
    brought = [(each.name, str(each.origin), each.format, each.tasks, each.licence, each.sha256) for each in figures.files]
    for record in figures.documents:
        found = record.document
        brought.append((found.name, "document", found.media_type, record.tasks, found.licence, found.sha256))
    return tuple(
        (display_line(name), how, kind, f"{tasks:,}", display_line(licence) or "not stated", sha256[:12])
        for name, how, kind, tasks, licence, sha256 in brought
    )


def _files(figures: Statistics) -> list[Table | Text]:
    """A folder of documents may have thousands: the first of them, and how many more there are."""
    rows = file_rows(figures)
    parts: list[Table | Text] = [Text(), plain_table(*FILE_HEADINGS, rows=rows[:_FILES], left=(0, 1, 2, 4, 5))]
    if len(rows) > _FILES:
        parts.append(Text(f"and {len(rows) - _FILES:,} more files: --json and the report have all of them"))
    return parts


def _origins(figures: Statistics) -> Text:
    usable = f"{figures.tasks_with_instances:,} of the generated tasks have a usable instance"
    tokens = f"{figures.completion_tokens:,} tokens written, {figures.cached_tokens:,} of {figures.prompt_tokens:,} prompt tokens cached"
    apart = f" ({figures.held_out:,} of them held out)" if figures.held_out else ""
    lines = [f"pool: {figures.seeds:,} seed{apart}, {figures.generated:,} generated, {figures.imported:,} imported tasks; {usable}", tokens]
    if figures.generated:
        lines.append(cost_line(figures))
    return Text("\n".join(lines))


def _words(figures: Statistics) -> Table:
    """Quantiles of the words of instructions, inputs that are not empty, and outputs, and a histogram of each below."""
    columns = (figures.instruction_words, figures.input_words, figures.output_words)
    rows = [
        (label, *(cell for each in columns for cell in (f"{getattr(each, name):,}" if each.count else "-", "")))
        for name, label in _QUANTILES.items()
    ]
    rows.append(())
    labels = {each.low: each.label for column in columns for each in column.bins}
    rows += [(labels[low], *(cell for each in columns for cell in _bin(each, low))) for low in sorted(labels)]
    return plain_table("words", "instructions", "", "inputs", "", "outputs", "", rows=rows, left=(0, 2, 4, 6))


def _bin(column: Distribution, low: int) -> tuple[str, str]:
    found = next((each for each in column.bins if each.low == low), Bin(low, low, 0))
    most = max((each.count for each in column.bins), default=0) or 1
    return f"{found.count:,}", bar(found.count / most, _WORDS_WIDTH)


def _reasons(figures: Statistics) -> Table:
    drafts = f" {figures.drafts:,} of these are drafts of the open round." if figures.drafts else ""
    rows = [
        ("accepted", figures.accepted, REASONS["novel"] + drafts),
        *((reason, count, REASONS.get(reason, "")) for reason, count in figures.rejected.items()),
    ]
    cells = ((name, f"{count:,}", f"{count / figures.candidates:.1%}", why) for name, count, why in rows)
    return plain_table(f"candidates ({figures.candidates:,})", "count", "share", "why", rows=cells, left=(0, 3))


def _rounds(rounds: tuple[RoundRow, ...]) -> Table:
    rows = []
    for label, group in grouped(rounds, lambda row: row.round):
        candidates, accepted = sum(row.candidates for row in group), sum(row.accepted for row in group)
        new = sum(row.new_openings for row in group)
        share = accepted / candidates if candidates else 0.0
        opened = f"{new:,} ({new / accepted:.1%})" if accepted else "0"
        rows.append((label, f"{candidates:,}", f"{accepted:,}", f"{bar(share, 14)} {share:.1%}", opened))
    return plain_table("rounds", "candidates", "accepted", "", "new opening words", rows=rows, left=(3,))


def _scores(figures: Statistics) -> Table:
    """Generated tasks by their highest ROUGE-L when they were decided."""
    seeds, tasks = figures.seed_score_histogram, figures.nearest_score_histogram
    rows = [("mean", f"{figures.mean_seed_score:.3f}", "", f"{figures.mean_nearest_score:.3f}", "")]
    most_seeds, most_tasks = max(seeds) or 1, max(tasks) or 1
    for edges, seed, task in zip(bin_edges(len(seeds)), seeds, tasks, strict=True):
        bars = bar(seed / most_seeds, _SCORES_WIDTH), bar(task / most_tasks, _SCORES_WIDTH)
        rows.append((edges, f"{seed:,}", bars[0], f"{task:,}", bars[1]))
    return plain_table("highest ROUGE-L", "to a seed", "", "to any task", "", rows=rows, left=(0, 2, 4))


SOURCE_HEADINGS = ("source", "candidates", "accepted", "acceptance", "tasks", "kept instances")


def source_rows(sources: Sequence[SourceRow]) -> list[tuple[str, ...]]:
    """Return a line of words under `SOURCE_HEADINGS` for each source."""
    return [
        (each.source, f"{each.candidates:,}", f"{each.accepted:,}", f"{each.acceptance_rate:.1%}", f"{each.tasks:,}", f"{each.instances:,}")
        for each in sources
    ]


def quality_headings() -> tuple[str, ...]:
    """Return the headings of `quality_rows`."""
    return ("share of yes", *(spoken(name) for name in SOURCE_QUESTIONS))


def quality_rows(sources: Sequence[SourceRow]) -> list[tuple[str, ...]]:
    """Return what raters said of each source that has rated tasks."""
    return [(each.source, *(each.quality[name].words for name in SOURCE_QUESTIONS)) for each in sources if each.quality]


def source_meanings(sources: Sequence[SourceRow]) -> str:
    """What the sources are, as one line."""
    return "; ".join(f"{each.source}: {SOURCE_WORDS[Source(each.source)][1]}" for each in sources)


def source_tables(sources: Sequence[SourceRow]) -> Iterator[Table]:
    """Yield the tables for a terminal."""
    rows = [(*row, SOURCE_WORDS[Source(each.source)][1]) for row, each in zip(source_rows(sources), sources, strict=True)]
    yield plain_table(*SOURCE_HEADINGS, "what it is", rows=rows, left=(0, len(SOURCE_HEADINGS)))
    if rated := quality_rows(sources):
        yield plain_table(*quality_headings(), rows=rated)
