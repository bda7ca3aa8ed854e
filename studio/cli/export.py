"""`studio export`: a pool's data as a file that a trainer takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.errors import PoolError, UsageError

if TYPE_CHECKING:
    from studio.insight.lint.api import Lint
    from studio.insight.lint.leaving_out import LeavingOut
    from studio.pool.export import ExportOptions, ExportSummary
    from studio.pool.formats.api import Source
    from studio.pool.queries import Queries

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
@click.option(
    "--min-quality",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Only tasks of which at least SHARE of the raters' answers are yes; 0.67 is two of three.",
)
@click.option("--unrated", is_flag=True, help="With --min-quality: keep the tasks nobody has rated, too.")
@click.option("--exclude-lint", "excluded", multiple=True, metavar="CODE,...", help="Leave out what these lints find, see `studio lint`.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="The evaluation files of --exclude-lint contamination.",
)
@click.option("--tag", "tags", multiple=True, metavar="NAME", help="Only tasks with this tag; may be repeated for tasks with any of them.")
@click.option("--noted", is_flag=True, help="Only tasks with a note.")
def command(
    pool: Path,
    output: str,
    format_name: str,
    include_seeds: bool,
    split: float | None,
    seed: str,
    min_quality: float | None,
    unrated: bool,
    tags: tuple[str, ...],
    noted: bool,
    excluded: tuple[str, ...],
    against: tuple[Path, ...],
) -> None:
    """Write the data of POOL, one JSON object a line.

    A task's quality is the share of yes among all answers it was given by `studio review`, whoever rated it and in whichever review.
    Skipped tasks have none, nor do those whose instruction or rated instance a person has changed since. Only generated tasks are ever
    rated: seeds need --unrated beside --min-quality. Tags and notes are given on the pool screen.

    --exclude-lint looks for the faults in what would be exported, now, and leaves out the tasks and instances at fault, and tasks that
    have no instance left. Of near-duplicates the first stays.
    """
    from studio.pool.export import ExportOptions
    from studio.pool.formats import find_format
    from studio.pool.queries import Queries
    from studio.pool.review_records import Keep
    from studio.text import display_line

    if not output:
        raise UsageError("--output is empty", "name a file, or - for stdout")
    if unrated and min_quality is None:
        raise UsageError("--unrated goes with --min-quality", "without it tasks are exported whether rated or not")
    find_format(format_name)
    options = ExportOptions(format_name, include_seeds, split, seed, Keep(min_quality, unrated, tags, noted))
    lints = _chosen(excluded, against)
    with Queries.open(pool) as reader, reader.one_state():
        if lints:
            summary = _export_without(_without(reader, lints, against, options), output, options, pool)
        else:
            summary = _export(reader, output, options, pool)
    places = ", ".join(f"{display_line(str(path))} ({count})" for path, count in summary.records.items())
    click.echo(f"{_clear()}exported {summary.total} records of {summary.tasks} tasks as {format_name}: {places}", err=True)


def _chosen(excluded: tuple[str, ...], against: tuple[Path, ...]) -> Sequence[Lint]:
    if not excluded:
        if against:
            raise UsageError("--against goes with --exclude-lint", "add --exclude-lint contamination")
        return ()
    from studio.cli.lint import split_codes
    from studio.insight.lint.registry import chosen_lints

    codes = split_codes(excluded)
    if not codes:
        raise UsageError("--exclude-lint names no lint", "`studio lint --help` lists them")
    return chosen_lints(codes, with_file=bool(against))


def _without(reader: Queries, lints: Sequence[Lint], against: tuple[Path, ...], options: ExportOptions) -> LeavingOut:
    from studio.cli.progress import progress_bar
    from studio.insight.lint.api import LintOptions
    from studio.insight.lint.leaving_out import without_findings

    with progress_bar() as show:
        return without_findings(reader, lints, LintOptions(against=against), options, lambda done, steps: show("looking", done, steps))


def _export_without(source: LeavingOut, output: str, options: ExportOptions, pool: Path) -> ExportSummary:
    try:
        summary = _export(source, output, options, pool)
    except PoolError as error:
        if source.tasks_left_out and not source.tasks_kept:
            hint = "`studio lint POOL` shows what they find; exclude fewer"
            raise PoolError(f"nothing to export: the lints leave out all {source.tasks_left_out} tasks", hint) from error
        raise
    click.echo(f"{_clear()}left out {source.tasks_left_out} tasks and {source.instances_left_out} instances of others", err=True)
    return summary


def _export(source: Source, output: str, options: ExportOptions, pool: Path) -> ExportSummary:
    from studio.pool.export import export_to_files, export_to_stream

    if output == "-":
        return export_to_stream(source, sys.stdout.buffer, options, _progress)
    return export_to_files(source, Path(output), options, pool, _progress)


def _progress(tasks: int) -> None:
    if tasks % _STEP == 0 and sys.stderr.isatty():
        click.echo(f"\r{tasks} tasks", nl=False, err=True)


def _clear() -> str:
    return "\r\x1b[K" if sys.stderr.isatty() else ""
