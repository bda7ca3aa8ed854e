"""`studio import`, `studio seeds` and `studio overlap`: files of tasks, brought into a pool, checked, and compared with each other."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import INPUT, POOL, print_json, print_tables, progress_bar
from studio.errors import ExitCode
from studio.text import display_line

if TYPE_CHECKING:
    from studio.insight.overlap.files import SeedFigures
    from studio.pool.exchange.importing import FileReport
    from studio.seeds.reading import SeedFile


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
def import_command(
    pool: Path, files: tuple[Path, ...], format_name: str, origin: str, instructions_only: bool, skip_invalid: bool, as_json: bool
) -> None:
    """Add the tasks of each FILE to POOL, all or none; `-` is standard input.

    Read are JSON lines, JSON (a list, or one under a key), CSV and plain text, packed or not: the method's own files, Alpaca and its
    descendants with other names for the fields, conversations, preference pairs, and all that `studio export` writes. Of a conversation
    the first exchange is the task; the system turn before it and all turns behind it are kept with the instance, for the formats that
    have a place for them. What a file holds and a task cannot is counted, key by key. Faults are listed, with the record they are in. An
    instruction that the pool has already is no new task: other instances of it join the one that was imported before.
    """
    from studio.pool.exchange.importing import ImportOptions, import_files
    from studio.pool.pool import Pool
    from studio.records import Origin
    from studio.seeds.inputs import FaultyFile
    from studio.seeds.reading import find_format

    options = ImportOptions(find_format(format_name), Origin(origin), instructions_only, skip_invalid)
    bar = ExitStack()

    def tell(report: FileReport) -> None:
        bar.close()
        for note in report.notes():
            _say(report, note)

    try:
        with Pool.open(pool) as opened, bar:
            reports = import_files(opened.tasks, files, options, tell, bar.enter_context(progress_bar()))
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

    click.echo(display_line(f"{report.path}: {words}"), err=True)


@click.group()
def seeds_command() -> None:
    """Check seed files, and find the bundled ones."""


@seeds_command.command()
@click.argument("files", nargs=-1, required=True, type=INPUT, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Print figures, faults and near-duplicates of each FILE: the original's schema, or anything else that `studio import` reads.

    Exits with 2 when a file has a fault; an instance or an input without an output is one here.
    """
    from studio.insight.overlap.files import seed_figures
    from studio.seeds.reading import inspect_file

    checked = [(contents, seed_figures(contents)) for contents in map(inspect_file, files)]
    if as_json:
        print_json({"files": [_as_object(*pair) for pair in checked]})
    else:
        for contents, found in checked:
            _print(contents, found)
    if any(contents.faults for contents, _ in checked):
        raise click.exceptions.Exit(ExitCode.USAGE)


@seeds_command.command()
def path() -> None:
    """Print where the bundled seeds are."""
    from studio.seeds.reading import bundled_seeds

    click.echo(bundled_seeds())


def _print(contents: SeedFile, found: SeedFigures) -> None:

    name = display_line(str(contents.path))
    highest = f"{found.highest.score:.2f} ({found.highest.other_place} and {found.highest.place})" if found.highest else "none"
    unknown = f" ({found.unknown} unknown)" if found.unknown else ""
    click.echo(
        f"{name}: {found.tasks} tasks ({contents.format}), {found.classification_share:.1%} classification{unknown}, "
        f"{found.instances} instances, {found.empty_input_share:.1%} with empty input, mean {found.mean_words:.1f} words, "
        f"highest ROUGE-L of a pair {highest}"
    )
    for note in contents.notes:
        click.echo(display_line(f"{contents.path}: note: {note}"))
    for fault in contents.faults:
        click.echo(fault.at(contents.path))
    for pair in found.similar:
        line = f":{pair.line}" if pair.line else ""
        place = "" if pair.place.startswith("line") else f" {pair.place}:"
        click.echo(f"{name}{line}:{place} warning: {pair.warning}")


def _as_object(contents: SeedFile, found: SeedFigures) -> dict[str, Any]:
    pairs = [{"line": pair.line, "other": pair.other, "rouge_l": pair.score} for pair in found.similar]
    return {
        "file": str(contents.path),
        "format": contents.format,
        "tasks": found.tasks,
        "classification": found.classification,
        "classification_unknown": found.unknown,
        "instances": found.instances,
        "empty_inputs": found.empty_inputs,
        "mean_words": found.mean_words,
        "highest_rouge_l": found.highest.score if found.highest else None,
        "notes": list(contents.notes),
        "faults": [{"line": each.line, "index": each.index, "field": each.field, "fault": each.fault} for each in contents.faults],
        "warnings": pairs,
    }


_POOL_ORIGINS = ("seed", "generated", "imported")


@click.command()
@click.argument("ours", type=INPUT, metavar="FILE")
@click.argument("theirs", type=INPUT, metavar="OTHER")
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="How many of the most similar pairs to list.")
@click.option("--origin", type=click.Choice(_POOL_ORIGINS), help="Take only these tasks of a pool. Without it: all active ones.")
@click.option(
    "--tokenizer",
    type=click.Choice(("unicode", "ascii")),
    default="unicode",
    show_default=True,
    help="unicode: words of every script; ascii: exactly as the rouge_score package.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def overlap_command(ours: Path, theirs: Path, top: int, origin: str | None, tokenizer: str, as_json: bool) -> None:
    """Compare the tasks of FILE with those of OTHER: pools, or files in any format that `studio import` reads.

    Prints the mean over FILE's tasks of the highest ROUGE-L of the instruction to any of OTHER's, its histogram, and the most similar
    pairs; and how many tasks of FILE share eight tokens in a row with OTHER, in an instruction, an input or an output. With an evaluation
    set as OTHER that is the contamination check: studio overlap pool.db eval.jsonl --origin generated
    """
    from studio.insight.overlap.corpus import open_corpus
    from studio.insight.overlap.files import compare_files
    from studio.records import Origin

    if ours.resolve() == theirs.resolve():
        click.echo("both are the same file: each task meets itself", err=True)
    wanted = None if origin is None else Origin(origin)
    one, other = open_corpus(ours, wanted), open_corpus(theirs, wanted)
    for path, source in ((ours, one), (theirs, other)):
        for note in source.notes:
            click.echo(display_line(f"{path}: {note}"), err=True)
    with progress_bar() as progress:
        found = compare_files(one, other, top=top, tokenizer=tokenizer, progress=progress)
    if as_json:
        print_json({"file": str(ours), "other": str(theirs), **found.as_dict()})
        return

    from studio.insight.overlap.files import overlap_report

    print_tables(overlap_report(found, str(ours), str(theirs)), soft_wrap=True)
