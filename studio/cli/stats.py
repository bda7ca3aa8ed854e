"""`studio stats`: figures of a pool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.arguments import POOL
from studio.cli.printing import print_json, print_tables

if TYPE_CHECKING:
    from rich.console import Group

    from studio.insight.progress import Report
    from studio.pool.pool import Queries

Figures = tuple[dict[str, Any], Callable[[], "Group"]]
"""As plain values, and as tables."""


@click.command()
@click.argument("pool", type=POOL)
@click.option("--lineage", is_flag=True, help="Show instead what became of each seed, and acceptance by generation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(pool: Path, lineage: bool, as_json: bool) -> None:
    """Show figures of POOL beside the paper's.

    Tasks by origin, classification share, instances, empty inputs, words and their distribution, what a task costs, why candidates fell,
    acceptance and new opening words by round, what another 1,000 candidates would bring, and how similar the generated tasks are to the
    seeds and to each other. Works beside a running session.
    """
    from studio.cli.progress import progress_bar
    from studio.pool.pool import Queries

    with Queries.open(pool) as reader, progress_bar() as progress:
        values, tables = (_lineage if lineage else _statistics)(reader, progress)
    if as_json:
        print_json(values)
        return

    print_tables(tables())


def _statistics(reader: Queries, progress: Report) -> Figures:
    from studio.insight.statistics.figures import statistics
    from studio.insight.statistics.report import report

    figures = statistics(reader, progress)
    return figures.as_dict(), lambda: report(figures)


def _lineage(reader: Queries, progress: Report) -> Figures:
    from studio.insight.lineage.lineage import lineage, lineage_report

    figures = lineage(reader, progress)
    return figures.as_dict(), lambda: lineage_report(figures)
