"""`studio export`: a pool's data as a file that a trainer takes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from studio.errors import UsageError

_STEP = 500


@click.command()
@click.argument("pool", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, metavar="FILE|FOLDER|-", help="Where to write; - is stdout. A file that is there is replaced."
)
@click.option(
    "--format",
    "format_name",
    default="alpaca",
    show_default=True,
    help="alpaca, chat, sharegpt, prompt-completion, raw, or self-instruct, which fills a folder.",
)
@click.option("--include-seeds", is_flag=True, help="Export the seed tasks too.")
@click.option(
    "--split",
    type=float,
    metavar="SHARE",
    help="Write FILE.train and FILE.validation instead, with SHARE of the instructions in the first.",
)
@click.option("--seed", default="0", show_default=True, help="Decides which instructions --split puts where.")
def command(pool: Path, output: str, format_name: str, include_seeds: bool, split: float | None, seed: str) -> None:
    """Write the data of POOL, one JSON object a line."""
    from studio.pool.export import ExportOptions, export_to_files, export_to_stream
    from studio.pool.formats import find_format
    from studio.pool.queries import Queries
    from studio.text import display_line

    if not output:
        raise UsageError("--output is empty", "name a file, or - for stdout")
    find_format(format_name)
    options = ExportOptions(format_name, include_seeds, split, seed)
    with Queries.open(pool) as source:
        if output == "-":
            summary = export_to_stream(source, sys.stdout.buffer, options, _progress)
        else:
            summary = export_to_files(source, Path(output), options, pool, _progress)
    places = ", ".join(f"{display_line(str(path))} ({count})" for path, count in summary.records.items())
    click.echo(f"{_clear()}exported {summary.total} records of {summary.tasks} tasks as {format_name}: {places}", err=True)


def _progress(tasks: int) -> None:
    if tasks % _STEP == 0 and sys.stderr.isatty():
        click.echo(f"\r{tasks} tasks", nl=False, err=True)


def _clear() -> str:
    return "\r\x1b[K" if sys.stderr.isatty() else ""
