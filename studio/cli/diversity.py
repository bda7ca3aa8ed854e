"""`studio diversity`: how diverse the instructions of a pool are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.arguments import OUTPUT, POOL
from studio.cli.printing import print_figures
from studio.errors import UsageError

if TYPE_CHECKING:
    from studio.insight.diversity.figures import Diversity


@click.command()
@click.argument("pool", type=POOL)
@click.option(
    "--origin",
    type=click.Choice(["generated", "seed", "imported", "all"], case_sensitive=False),
    default="generated",
    show_default=True,
    help="Which tasks to look at.",
)
@click.option("--words", is_flag=True, help="Measure the words only: needs no parser.")
@click.option("--html", "page", type=OUTPUT, metavar="FILE", help="Also write verbs and objects as a sunburst, one HTML file.")
@click.option("--pipeline", metavar="NAME", help="spaCy pipeline: an installed package or a folder. [the small English one]")
@click.option("--sample", type=click.IntRange(min=2), metavar="N", help="Instructions of the self-ROUGE-L. [1000]")
@click.option("--seed", default="0", show_default=True, metavar="TEXT", help="Which instructions are sampled.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    pool: Path, origin: str, words: bool, page: Path | None, pipeline: str | None, sample: int | None, seed: str, as_json: bool
) -> None:
    """Show how diverse the instructions of POOL are, beside the paper's figures.

    The 20 most common root verbs with their 4 most common direct objects, found by spaCy's dependency parser (pip install
    'self-instruct-studio[diversity]'), and how many of each round are new. Distinct words and pairs of words, the type-token ratio, and
    how similar sampled instructions are to each other. English only, but for the words. Works beside a running session.
    """
    if words and page is not None:
        raise UsageError("--html shows verbs and objects, which --words leaves out", "leave out one of the two")
    if words and pipeline is not None:
        raise UsageError("--words needs no parser, so --pipeline has no say", "leave out one of the two")
    figures = _measured(pool, origin, pipeline, words, sample, seed)
    if page is not None:
        _write(page, figures, pool)
    from studio.insight.diversity.figures import diversity_report

    print_figures(figures.as_dict(), lambda: diversity_report(figures), as_json)


def _measured(pool: Path, origin: str, pipeline: str | None, words: bool, sample: int | None, seed: str) -> Diversity:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from studio.insight.diversity.figures import diversity
    from studio.insight.diversity.parser import load_parser
    from studio.insight.diversity.words import SAMPLE
    from studio.pool.pool import Queries
    from studio.records import Origin

    wanted = None if origin == "all" else Origin(origin)
    with Queries.open(pool) as reader:
        parser = None if words else load_parser(pipeline)
        console = Console(stderr=True)
        columns = (TextColumn("instructions"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("", total=reader.count_active(wanted))
            return diversity(reader, wanted, parser, sample=sample or SAMPLE, seed=seed, advance=lambda count: progress.advance(bar, count))


def _write(page: Path, figures: Diversity, pool: Path) -> None:
    from studio.insight.diversity.sunburst import sunburst
    from studio.pool.exchange.outputs import complete_files, writing
    from studio.text import display_line

    assert figures.phrases is not None
    text = sunburst(figures.phrases, pool.name).encode()
    with complete_files([page]) as (file,), writing(page):
        file.write(text)
    click.echo(f"wrote {display_line(str(page))}", err=True)
