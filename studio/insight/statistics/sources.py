"""Where instructions come from: what each source has brought, and how good raters found it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from studio.insight.studies.agreement import Share, share_of
from studio.insight.tables import plain_table
from studio.pool.figures import SOURCE_QUESTIONS, SourceCounts
from studio.pool.pool import Queries
from studio.records import Source
from studio.text import spoken

HEADINGS = ("source", "candidates", "accepted", "acceptance", "tasks", "kept instances")
_MEANING = {
    "in_context": "lists that the model goes on with, from tasks of the pool",
    "template": "user's turns of the chat template that the model writes itself",
    "backtranslation": "passages of documents as answers, whose requests the model writes",
    "question": "passages of documents as inputs, about which the model writes questions",
}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source. Candidates by the decision that holds; `tasks` are active ones, `instances` their accepted ones.

    `quality` is the share of yes that raters gave its tasks, all raters and reviews alike, to each of the paper's questions and to all of
    them (`all_fields_valid`); nothing where nobody has rated any. Items count as for a task's quality: while the texts are what the rater
    saw.
    """

    source: str
    candidates: int
    accepted: int
    acceptance_rate: float
    tasks: int
    instances: int
    quality: Mapping[str, Share]


def source_figures(pool: Queries) -> tuple[SourceRow, ...]:
    """Return the sources of a pool; none where all instructions come from lists, as in most pools whose model was never asked in chat."""
    counted = pool.figures.sources()
    return tuple(_row(each) for each in counted) if any(each.source is not Source.IN_CONTEXT for each in counted) else ()


def _row(counts: SourceCounts) -> SourceRow:
    shares = {name: share_of([True] * yes + [False] * (given - yes)) for name, (yes, given) in counts.answers.items()}
    rate = counts.accepted / counts.candidates if counts.candidates else 0.0
    quality = shares if any(each.count for each in shares.values()) else {}
    return SourceRow(counts.source.value, counts.candidates, counts.accepted, rate, counts.tasks, counts.instances, quality)


def source_rows(sources: Sequence[SourceRow]) -> list[tuple[str, ...]]:
    """Return a line of words under `HEADINGS` for each source."""
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
    return "; ".join(f"{each.source}: {_MEANING[each.source]}" for each in sources)


def source_tables(sources: Sequence[SourceRow]) -> Iterator[Table]:
    """Yield the tables for a terminal."""
    rows = [(*row, _MEANING[each.source]) for row, each in zip(source_rows(sources), sources, strict=True)]
    yield plain_table(*HEADINGS, "what it is", rows=rows, left=(0, len(HEADINGS)))
    if rated := quality_rows(sources):
        yield plain_table(*quality_headings(), rows=rated)
