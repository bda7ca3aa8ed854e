"""`studio stats`: figures of a pool."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("pool", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(pool: Path, as_json: bool) -> None:
    """Show figures of POOL beside the paper's.

    Tasks by origin, classification share, instances, empty inputs, mean words, why candidates fell, acceptance by round, and how
    similar the generated tasks are to the seeds. Works beside a running session.
    """
    from studio.insight.statistics import statistics
    from studio.pool.queries import Queries

    with Queries.open(pool) as reader:
        figures = statistics(reader)
    if as_json:
        click.echo(json.dumps(figures.as_dict(), ensure_ascii=False))
        return
    from rich.console import Console

    from studio.insight.report import report

    Console(highlight=False).print(report(figures))
