"""`studio report`: a pool as one HTML page to publish beside its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.arguments import OUTPUT, POOL
from studio.errors import UsageError

if TYPE_CHECKING:
    from studio.insight.diversity.parser import Parser


@click.command()
@click.argument("pool", type=POOL)
@click.option("-o", "--output", type=OUTPUT, required=True, metavar="FILE", help="Where to write the page.")
@click.option("--title", metavar="TEXT", help="What the dataset is called. [the pool's name]")
@click.option("--pipeline", metavar="NAME", help="spaCy pipeline for root verbs and objects. [the small English one, if installed]")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def command(pool: Path, output: Path, title: str | None, pipeline: str | None, force: bool) -> None:
    """Write what one would publish beside the dataset of POOL: one HTML file that loads nothing and runs no script.

    Scorecard, decisions, diversity, quality as people rated it, training curve, evaluation, examples, models with their licences,
    settings and seeds. A section for which the pool has nothing yet says which command would add it. Raters are numbered, not named,
    and no path of this machine is told. The same pool gives the same page. For a dataset card: studio export --card.
    """
    from studio.cli.progress import progress_bar
    from studio.pool.exchange.outputs import complete_files, refuse_existing, writing
    from studio.pool.pool import Queries
    from studio.publish.page import page
    from studio.publish.publication import publication
    from studio.text import display_line

    refuse_existing(output, pool, force)
    with Queries.open(pool) as reader, progress_bar() as progress:
        text = page(publication(reader, title or pool.stem, _parser(pipeline), progress)).encode()
    with complete_files([output]) as (file,), writing(output):
        file.write(text)
    click.echo(f"wrote {display_line(str(output))}: {len(text):,} bytes", err=True)


def _parser(pipeline: str | None) -> Parser | None:
    """The parser asked for, or the usual one if it is installed; the page says so where it is not."""
    from studio.insight.diversity.parser import load_parser

    if pipeline is not None:
        return load_parser(pipeline)
    try:
        return load_parser()
    except UsageError:
        return None
