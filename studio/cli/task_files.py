"""`studio seeds` and `studio overlap`: files of tasks, checked, and compared with each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.hub_files import gather, gather_one
from studio.cli.import_tasks import map_option
from studio.cli.shared import INPUT, print_json, print_tables, progress_bar
from studio.errors import ExitCode
from studio.text import display_line

if TYPE_CHECKING:
    from studio.insight.overlap import SeedFigures
    from studio.seeds.reading import SeedFile


@click.group()
def seeds_command() -> None:
    """Check seed files, and find the bundled ones."""


@seeds_command.command()
@click.argument("files", nargs=-1, required=True, type=INPUT, metavar="FILE...")
@map_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def check(files: tuple[Path, ...], assignments: tuple[str, ...], as_json: bool) -> None:
    """Print figures, faults and near-duplicates of each FILE: the original's schema, or anything else that `studio import` reads.

    Exits with 2 when a file has a fault; an instance or an input without an output is one here.
    """
    from studio.insight.overlap import seed_figures
    from studio.seeds.mapping import parse_map
    from studio.seeds.reading import inspect_file

    mapping = parse_map(assignments)
    checked = [(contents, seed_figures(contents)) for contents in (inspect_file(path, mapping) for path in gather(files).paths)]
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
    from studio.insight.overlap import compare_files, open_corpus
    from studio.records import Origin

    ours, theirs = gather_one(ours), gather_one(theirs)
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

    from studio.insight.overlap import overlap_report

    print_tables(overlap_report(found, str(ours), str(theirs)), soft_wrap=True)
