"""`studio import`: files of tasks, brought into a pool, or looked at to see how they would be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import INPUT, POOL, print_json, progress_bar
from studio.cli.task_files import Gathered, gather, map_option
from studio.errors import ExitCode, PoolError
from studio.paths import shown
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.pool.exchange.importing import Examined, FileReport, ImportOptions
    from studio.pool.pool import Pool

_ORIGINS = ("imported", "seed")
_WIDTH = 100


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
@map_option
@click.option(
    "--as", "origin", type=click.Choice(_ORIGINS), default="imported", show_default=True, help="What the tasks count as in the pool."
)
@click.option(
    "--thinking",
    type=click.Choice(("text", "keep", "strip")),
    default="text",
    show_default=True,
    help="What <think>…</think> before an answer becomes: text as any other, thoughts apart from it, or nothing.",
)
@click.option("--instructions-only", is_flag=True, help="Leave all outputs out.")
@click.option("--skip-invalid", is_flag=True, help="Take the sound records of a faulty file; the others go to FILE.rejected.jsonl.")
@click.option("--new", is_flag=True, help="Make POOL, with nothing in it but what is imported, where there is none.")
@click.option("--dry-run", is_flag=True, help="Show how each FILE is read, with three tasks of it, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def import_command(pool: Path, files: tuple[Path, ...], new: bool, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Add the tasks of each FILE to POOL, all or none; `-` is standard input.

    Read are JSON lines, JSON (a list, one under a key, columns), CSV and plain text, Parquet, Arrow and spreadsheets, packed or not: the
    method's own files, Alpaca and its descendants with other names for the fields, conversations, preference pairs, and all that `studio
    export` writes. Any other is read by --map. Of a conversation the first exchange is the task; the system turn before it and all turns
    behind it are kept with the instance, for the formats that have a place for them. What a file holds and a task cannot is counted, key by
    key. All faults are listed, with the record they are in; exit code 2. An instruction that the pool has already is no new task: other
    instances of it join the one that was imported before.

    hf:OWNER/NAME is a dataset of the Hugging Face hub; hf:OWNER/NAME:SPLIT, :CONFIG/SPLIT or :FILE a part of it, @REVISION before that a
    certain state. Its licence, size and files are told before it is loaded into the hub's own cache; --dry-run loads nothing.

    \b
    studio import pool.db squad.jsonl --dry-run
    studio import pool.db squad.jsonl --map instruction=question,input=context,output=answers.text[0]

    A path is keys with dots between them; [0] is the first of a list, [-1] the last, [*] all of them, a line each. A key that has dots
    stands in double quotes. Braces join fields: --map 'input={title}\\n{body}'.
    """
    from studio.pool.exchange.importing import ImportOptions
    from studio.pool.exchange.parts import Thinking
    from studio.records import Origin
    from studio.seeds.mapping import parse_map
    from studio.seeds.reading import find_format

    mapping, thinking = parse_map(asked["assignments"]), Thinking(asked["thinking"])
    options = ImportOptions(
        find_format(asked["format_name"]), Origin(asked["origin"]), asked["instructions_only"], asked["skip_invalid"], mapping
    )
    # Before the hub is asked for anything.
    opening = _checked(pool, new=new, needed=not dry_run)
    found = gather(files, dry_run=dry_run)
    options = replace(options, licences=found.licences, thinking=thinking)
    if dry_run:
        _show(found, options, as_json)
    else:
        with opening(pool) as opened:
            _import(opened, found, options, as_json)


def _checked(pool: Path, *, new: bool, needed: bool) -> Callable[[Path], AbstractContextManager[Pool]]:
    """How the pool will be opened or made. Raises PoolError where neither is possible; where it is not `needed`, it may be missing."""
    from studio.pool.pool import Pool, Queries, check_place

    if os.path.lexists(pool):
        Queries.open(pool).close()
    elif new:
        check_place(pool)
        return _made
    elif needed:
        hint = "--new makes one of FILE alone; `studio run POOL --seeds FILE` one to generate from"
        raise PoolError(f"there is no pool at {shown(pool)}", hint)
    return Pool.open


@contextmanager
def _made(path: Path) -> Iterator[Pool]:
    """A new pool, which goes again when nothing could be brought into it."""
    from studio.pool.pool import Pool

    with Pool.create(path, []) as pool:
        try:
            yield pool
        except BaseException:
            pool.discard()
            raise


def _import(pool: Pool, files: Gathered, options: ImportOptions, as_json: bool) -> None:
    from studio.pool.exchange.importing import Faults, import_files
    from studio.seeds.inputs import FaultyFile

    bar = ExitStack()

    def tell(report: FileReport) -> None:
        bar.close()
        for note in report.notes():
            _say(report, note)

    # With --skip-invalid the file of them has all.
    faults = Faults() if options.skip_invalid else Faults(lambda line: click.echo(line, err=True))
    try:
        with bar:
            reports = import_files(pool.tasks, files.paths, options, tell, bar.enter_context(progress_bar()), faults)
    except FaultyFile as error:
        if options.skip_invalid:
            for line in error.listing():
                click.echo(line, err=True)
        raise
    for report in reports:
        _say(report, _summary(report, options.origin))
    if as_json:
        print_json({"files": [report.as_dict() for report in reports], **files.as_dict()})


def _summary(report: FileReport, origin: str) -> str:

    joined = f", {counted(report.joined, 'instance')} joined to tasks of the same instruction" if report.joined else ""
    tasks = counted(report.imported, "task")
    return f"{tasks} imported as {origin} ({report.format}){joined}, {report.duplicates:,} skipped as duplicates"


def _say(report: FileReport, words: str) -> None:
    click.echo(display_line(f"{report.path}: {words}"), err=True)


def _show(files: Gathered, options: ImportOptions, as_json: bool) -> None:
    """Print what would come of the files. Exits with 2 when nothing would be imported for a fault."""
    from studio.pool.exchange.importing import Faults, examine_files, preview_lines, what_it_is

    with progress_bar() as progress:
        found = examine_files(files.paths, options, progress, Faults(lambda line: click.echo(line, err=True)))
    if as_json:
        print_json({**_as_object(found), **files.as_dict()})
    else:
        for report in found.reports:
            click.echo(f"{display_line(str(report.path))}: read as {what_it_is(report)}")
            for line in preview_lines(report, _WIDTH):
                click.echo(f"  {line}")
        if found.error is None:
            click.echo("nothing was written: this was a dry run")
        else:
            click.echo(display_line(f"this would fail: {found.error.message}: {found.error.hint}", 600))
    if found.error is not None:
        raise click.exceptions.Exit(ExitCode.USAGE)


def _as_object(found: Examined) -> dict[str, Any]:
    def of(report: FileReport) -> dict[str, Any]:
        told = {name: value for name, value in report.as_dict().items() if name not in ("imported", "joined", "duplicates", "refused")}
        samples = [{name: value for name, value in asdict(task).items() if name != "provenance"} for task in report.samples]
        lists = {"paths": list(report.paths), "notes": list(report.notes()), "samples": samples}
        return {**told, "container": report.container, "fields": dict(report.tally.roles), **lists}

    fault = found.error
    error = None if fault is None else {"message": fault.message, "hint": fault.hint, "faults": max(fault.faults, 1)}
    return {"dry_run": True, "files": [of(report) for report in found.reports], "error": error}
