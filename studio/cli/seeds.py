"""`studio seeds`: check files of tasks, and find the ones that come with the studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.arguments import INPUT
from studio.cli.printing import print_json
from studio.errors import ExitCode

if TYPE_CHECKING:
    from studio.insight.overlap.files import SeedFigures
    from studio.seeds import SeedFile


@click.group()
def command() -> None:
    """Check seed files, and find the bundled ones."""


@command.command()
@click.argument("files", nargs=-1, required=True, type=INPUT, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Print figures, faults and near-duplicates of each FILE: the original's schema, or anything else that `studio import` reads.

    Exits with 2 when a file has a fault; an instance or an input without an output is one here.
    """
    from studio.insight.overlap.files import figures
    from studio.seeds import inspect_file

    checked = [(contents, figures(contents)) for contents in map(inspect_file, files)]
    if as_json:
        print_json({"files": [_as_object(*pair) for pair in checked]})
    else:
        for contents, found in checked:
            _print(contents, found)
    if any(contents.faults for contents, _ in checked):
        raise click.exceptions.Exit(ExitCode.USAGE)


@command.command()
def path() -> None:
    """Print where the bundled seeds are."""
    from studio.seeds import bundled_seeds

    click.echo(bundled_seeds())


def _print(contents: SeedFile, found: SeedFigures) -> None:
    from studio.text import display_line

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
        place = "" if pair.place.startswith("line") else f" {pair.place}:"
        click.echo(f"{name}:{pair.line}:{place} warning: {pair.warning}")


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
