"""Files of tasks: those of the hub loaded and named like others, and `studio seeds` and `studio overlap`, which check and compare them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import INPUT, Command, print_json, print_tables, progress_bar
from studio.errors import ExitCode, UsageError
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.insight.overlap import SeedFigures
    from studio.seeds.hub_dataset import HubDataset
    from studio.seeds.reading import SeedFile


@dataclass(slots=True)
class Gathered:
    """Files that can be read. `datasets` are those of the hub that some are of; `unread` are those that a dry run leaves there."""

    paths: list[Path] = field(default_factory=list)
    datasets: list[HubDataset] = field(default_factory=list)
    unread: list[HubDataset] = field(default_factory=list)

    @property
    def licences(self) -> dict[Path, str]:
        """What the hub says of the files that are from there."""
        return {path: each.licence for each in self.datasets if each.licence for path in each.paths}

    def as_dict(self) -> dict[str, Any]:
        """What is from the hub as plain values, for JSON; nothing where nothing is."""
        found = [*self.datasets, *self.unread]
        return {"datasets": [each.as_dict() for each in found]} if found else {}


def gather(paths: Iterable[Path], *, dry_run: bool = False) -> Gathered:
    """Put the files of each dataset of the hub among `paths` in its place, loaded and with what they are told on stderr.

    Nothing is loaded in a dry run; what is here already is read in one, too. Raises UsageError as the hub refuses.
    """
    from studio.seeds.hub_dataset import find_dataset, is_of_hub, load, megabytes

    found = Gathered()
    for path in paths:
        if not is_of_hub(path):
            found.paths.append(path)
            continue
        dataset = find_dataset(path)
        for line in dataset.lines():
            click.echo(line, err=True)
        if dry_run and dataset.missing:
            click.echo(f"{dataset.asked}: not loaded, this is a dry run: {megabytes(dataset.missing)}", err=True)
            found.unread.append(dataset)
            continue
        with progress_bar() as progress:
            load(dataset, progress)
        found.datasets.append(dataset)
        found.paths += dataset.paths
    return found


def gather_one(path: Path) -> Path:
    """Return the one file that `path` stands for, loaded where it is the hub's. Raises UsageError where it stands for several."""
    found = gather([path]).paths
    if len(found) > 1:
        raise UsageError(f"{path} is {len(found)} files", f"name one of them, the first is {found[0]}")
    return found[0]


def map_option(command: Command) -> Command:
    """Add `--map`, given as `assignments`, to a command."""
    words = (
        "Where each field of a task stands: instruction=question,output=answers.text[0]. Fields: instruction, input, output, "
        "system, thoughts, or messages in their place; id, name, is_classification. May be repeated."
    )
    return click.option("--map", "assignments", multiple=True, metavar="FIELD=PATH,…", help=words)(command)


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
        f"{name}: {counted(found.tasks, 'task')} ({contents.format}), {found.classification_share:.1%} classification{unknown}, "
        f"{counted(found.instances, 'instance')}, {found.empty_input_share:.1%} with empty input, mean {found.mean_words:.1f} words, "
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
