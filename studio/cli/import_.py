"""`studio import`: other people's and one's own tasks into a pool."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.arguments import INPUT, POOL

if TYPE_CHECKING:
    from studio.pool.exchange.importing import FileReport

_ORIGINS = ("imported", "seed")


@click.command("import")
@click.argument("pool", type=POOL)
@click.argument("files", nargs=-1, required=True, type=INPUT, metavar="FILE...")
@click.option(
    "--format",
    "format_name",
    default="auto",
    show_default=True,
    help="auto: each record by its keys. self-instruct (the seed schema), machine-generated (instructions only), alpaca, chat, sharegpt, "
    "prompt-completion, preference, raw, jsonl, csv, text.",
)
@click.option(
    "--as", "origin", type=click.Choice(_ORIGINS), default="imported", show_default=True, help="What the tasks count as in the pool."
)
@click.option("--instructions-only", is_flag=True, help="Leave all outputs out.")
@click.option("--skip-invalid", is_flag=True, help="Take the sound records of a faulty file; the others go to FILE.rejected.jsonl.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(
    pool: Path, files: tuple[Path, ...], format_name: str, origin: str, instructions_only: bool, skip_invalid: bool, as_json: bool
) -> None:
    """Add the tasks of each FILE to POOL, all or none; `-` is standard input.

    Read are JSON lines, JSON (a list, or one under a key), CSV and plain text, packed or not: the method's own files, Alpaca and its
    descendants with other names for the fields, conversations, preference pairs, and all that `studio export` writes. What a file holds
    and a task cannot is counted, key by key; of a conversation that is all but its first exchange. Faults are listed, with the record they
    are in. An instruction that the pool has already is no new task: other instances of it join the one that was imported before.
    """
    from studio.cli.printing import print_json
    from studio.cli.progress import progress_bar
    from studio.pool.exchange.importing import ImportOptions, import_files
    from studio.pool.pool import Pool
    from studio.records import Origin
    from studio.seeds.faults import FaultyFile
    from studio.seeds.reading import find_format

    options = ImportOptions(find_format(format_name), Origin(origin), instructions_only, skip_invalid)
    bar = ExitStack()

    def tell(report: FileReport) -> None:
        bar.close()
        for note in report.notes():
            _say(report, note)

    try:
        with Pool.open(pool) as opened, bar:
            reports = import_files(opened, files, options, tell, bar.enter_context(progress_bar()))
    except FaultyFile as error:
        for line in error.listing():
            click.echo(line, err=True)
        raise
    for report in reports:
        _say(report, _summary(report, origin))
    if as_json:
        print_json({"files": [report.as_dict() for report in reports]})


def _summary(report: FileReport, origin: str) -> str:
    from studio.seeds.reading import counted

    joined = f", {counted(report.joined, 'instance')} joined to tasks of the same instruction" if report.joined else ""
    tasks = counted(report.imported, "task")
    return f"{tasks} imported as {origin} ({report.format}){joined}, {report.duplicates:,} skipped as duplicates"


def _say(report: FileReport, words: str) -> None:
    from studio.text import display_line

    click.echo(display_line(f"{report.path}: {words}"), err=True)
