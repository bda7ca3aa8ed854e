"""Files of tasks: `studio import` brings them into a pool, `seeds` and `overlap` check and compare them; the hub's are loaded first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import INPUT, JSON, POOL, Command, print_json, print_tables, progress_bar
from studio.errors import ExitCode, PoolError, UsageError
from studio.paths import shown
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.insight.overlap import SeedFigures
    from studio.pool.exchange.importing import Examined, FileReport, ImportOptions
    from studio.pool.pool import Pool
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
        print_json({"files": [_figures_as_dict(*pair) for pair in checked]})
    else:
        for contents, found in checked:
            _print_figures(contents, found)
    if any(contents.faults for contents, _ in checked):
        raise click.exceptions.Exit(ExitCode.USAGE)


@seeds_command.command()
def path() -> None:
    """Print where the bundled seeds are."""
    from studio.seeds.reading import bundled_seeds

    click.echo(bundled_seeds())


def _print_figures(contents: SeedFile, found: SeedFigures) -> None:
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


def _figures_as_dict(contents: SeedFile, found: SeedFigures) -> dict[str, Any]:
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
@JSON
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
        print_json({**_examined_as_dict(found), **files.as_dict()})
    else:
        for report in found.reports:
            click.echo(f"{display_line(str(report.path))}: read as {what_it_is(report)}")
            for line in preview_lines(report, _WIDTH):
                click.echo(f"  {line}")
        if found.error is None:
            click.echo("nothing was written: this was a dry run")
        else:
            click.echo(display_line(f"this would fail: {found.error.words()}", 600))
    if found.error is not None:
        raise click.exceptions.Exit(ExitCode.USAGE)


def _examined_as_dict(found: Examined) -> dict[str, Any]:
    def of(report: FileReport) -> dict[str, Any]:
        told = {name: value for name, value in report.as_dict().items() if name not in ("imported", "joined", "duplicates", "refused")}
        samples = [{name: value for name, value in asdict(task).items() if name != "provenance"} for task in report.samples]
        lists = {"paths": list(report.paths), "notes": list(report.notes()), "samples": samples}
        return {**told, "container": report.container, "fields": dict(report.tally.roles), **lists}

    fault = found.error
    error = None if fault is None else {"message": fault.message, "hint": fault.hint, "faults": max(fault.faults, 1)}
    return {"dry_run": True, "files": [of(report) for report in found.reports], "error": error}
