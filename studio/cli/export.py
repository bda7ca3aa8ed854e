"""`studio export` and `studio report`: a pool's data as a file that a trainer takes, and a page to publish beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import INPUT, OUTPUT, POOL, TARGET, progress_bar, write_text
from studio.errors import PoolError, UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from studio.insight.diversity.parser import Parser
    from studio.insight.lint.api import Lint
    from studio.insight.lint.run import LeavingOut
    from studio.pool.exchange.export import ExportOptions, ExportSummary
    from studio.pool.exchange.formats import Source
    from studio.pool.pool import Queries
    from studio.pool.studies.reviews import Keep
    from studio.publish.card import CardOptions


_STEP = 500


@click.command()
@click.argument("pool", type=POOL)
@click.option(
    "-o",
    "--output",
    required=True,
    type=TARGET,
    metavar="FILE|FOLDER|-",
    help="Where to write; - is stdout. A file that is there is replaced.",
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
    type=INPUT,
    multiple=True,
    metavar="FILE",
    help="The evaluation files of --exclude-lint contamination.",
)
@click.option("--tag", "tags", multiple=True, metavar="NAME", help="Only tasks with this tag; may be repeated for tasks with any of them.")
@click.option("--noted", is_flag=True, help="Only tasks with a note.")
@click.option(
    "--max-nats", type=click.FloatRange(min=0), metavar="X", help="Only tasks whose instruction has at most X nats a token in chat."
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Only instances whose answer agrees with the others drawn by X or more.",
)
@click.option(
    "--max-answer-nats", type=click.FloatRange(min=0), metavar="X", help="Only instances whose answer has at most X nats a token."
)
@click.option("--scored", is_flag=True, help="With one of these three: leave out what has no such score, too.")
@click.option("--card", type=OUTPUT, metavar="FILE", help="Also write a Hugging Face dataset card, as README.md.")
@click.option("--title", metavar="TEXT", help="With --card: what the dataset is called. [the pool's name]")
@click.option("--license", "licence", metavar="ID", help="With --card: the dataset's licence on the hub, such as apache-2.0. [unknown]")
@click.option("--language", "languages", multiple=True, metavar="CODE", help="With --card: its language, such as en; may be repeated.")
@click.option("--force", is_flag=True, help="Replace a card that is there.")
def export_command(
    pool: Path,
    output: str,
    format_name: str,
    include_seeds: bool,
    split: float | None,
    seed: str,
    excluded: tuple[str, ...],
    against: tuple[Path, ...],
    card: Path | None,
    **said: Any,
) -> None:
    """Write the data of POOL, one JSON object a line.

    A task's quality is the share of yes among all answers it was given by `studio review`, whoever rated it and in whichever review.
    Skipped tasks have none, nor do those whose instruction or rated instance a person has changed since. Only generated tasks are ever
    rated: seeds need --unrated beside --min-quality. Tags and notes are given on the pool screen.

    Scores are those of a model that was asked in chat: the nats a token of an instruction as a user's turn and of an answer, by the model
    itself (fewer is likelier), and the mean ROUGE-L of an answer with the others drawn for it. What has none, seeds and imports among them,
    and what a person has edited since passes, unless --scored. How many tasks and instances each score leaves out is told.

    --card describes what was exported, with the files' sha256, where it comes from and how: put it into a folder with the data in it or
    below. It is not replaced without --force.

    --exclude-lint looks for the faults in what would be exported, now, and leaves out the tasks and instances at fault, and tasks that
    have no instance left. Of near-duplicates the first stays.
    """
    from studio.pool.exchange.export import ExportOptions, left_out_by_scores, option_of
    from studio.pool.exchange.formats import find_format
    from studio.pool.pool import Queries

    keep = _keep(said)
    find_format(format_name)
    options = ExportOptions(format_name, include_seeds, split, seed, keep)
    lints = _chosen(excluded, against)
    described = _described(card, said, output, pool, options)
    with Queries.open(pool) as reader, reader.one_state():
        source: Source = reader.stream
        left_out = left_out_by_scores(reader.stream, options)
        if lints:
            source = without = _without(reader, lints, against, options)
            summary = _export_without(without, output, options, pool)
        else:
            summary = _export(reader.stream, output, options, pool)
        if card is not None and described is not None:
            _write_card(reader, card, described, summary, (source, options, tuple(each.code for each in lints)))
    for name, tasks, instances in left_out:
        click.echo(f"{option_of(name)} left out {tasks} tasks, {instances} instances in all", err=True)
    _tell(summary, format_name)


def _keep(said: dict[str, Any]) -> Keep:
    """Which tasks and instances are wanted, taken out of the options."""
    from studio.pool.studies.reviews import Keep

    keep = Keep(**{each.name: said.pop(each.name) for each in fields(Keep)})
    if keep.unrated and keep.min_quality is None:
        raise UsageError("--unrated goes with --min-quality", "without it tasks are exported whether rated or not")
    if keep.scored and not keep.by_score:
        raise UsageError("--scored goes with --max-nats, --min-agreement or --max-answer-nats", "name the score that has to be there")
    return keep


def _tell(summary: ExportSummary, format_name: str) -> None:
    places = ", ".join(f"{display_line(str(path))} ({count})" for path, count in summary.records.items())
    click.echo(f"{_clear()}exported {summary.total} records of {summary.tasks} tasks as {format_name}: {places}", err=True)


def _described(card: Path | None, said: Mapping[str, Any], output: str, pool: Path, options: ExportOptions) -> CardOptions | None:
    """What the card says on the user's word, checked before anything is written; None without a card."""
    if card is None:
        if any(said.values()):
            raise UsageError("--title, --license, --language and --force are for a card", "add --card README.md")
        return None
    if output == "-" or options.format == "self-instruct":
        raise UsageError("a card goes with a file of one format", "name a file with -o; for a folder on the hub: -o data/all.jsonl")
    from studio.pool.exchange.outputs import refuse_existing
    from studio.publish.card import CardOptions, check_card_place

    check_card_place(card, Path(output))
    refuse_existing(card, pool, said["force"])
    described = CardOptions(said["title"] or pool.stem, said["licence"] or "unknown", said["languages"])
    described.check()
    return described


def _write_card(
    reader: Queries, card: Path, described: CardOptions, summary: ExportSummary, how: tuple[Source, ExportOptions, tuple[str, ...]]
) -> None:
    from studio.publish.card import Exported, data_files, dataset_card

    write_text(dataset_card(reader, described, Exported(*how, data_files(card, summary))), card)
    stated = "" if described.licence != "unknown" else "; it states no licence: --license"
    click.echo(f"{_clear()}wrote the card {display_line(str(card))}{stated}", err=True)


def _chosen(excluded: tuple[str, ...], against: tuple[Path, ...]) -> Sequence[Lint]:
    if not excluded:
        if against:
            raise UsageError("--against goes with --exclude-lint", "add --exclude-lint contamination")
        return ()
    from studio.cli.show import split_codes
    from studio.insight.lint.registry import chosen_lints

    codes = split_codes(excluded)
    if not codes:
        raise UsageError("--exclude-lint names no lint", "`studio lint --help` lists them")
    return chosen_lints(codes, with_file=bool(against))


def _without(reader: Queries, lints: Sequence[Lint], against: tuple[Path, ...], options: ExportOptions) -> LeavingOut:
    from studio.insight.lint.api import LintOptions
    from studio.insight.lint.run import without_findings

    with progress_bar() as progress:
        return without_findings(reader, lints, LintOptions(against=against), options, progress)


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
    from studio.pool.exchange.export import export_to_files, export_to_stream

    if output == "-":
        return export_to_stream(source, sys.stdout.buffer, options, _progress)
    return export_to_files(source, Path(output), options, pool, _progress)


def _progress(tasks: int) -> None:
    if tasks % _STEP == 0 and sys.stderr.isatty():
        click.echo(f"\r{tasks} tasks", nl=False, err=True)


def _clear() -> str:
    return "\r\x1b[K" if sys.stderr.isatty() else ""


@click.command()
@click.argument("pool", type=POOL)
@click.option("-o", "--output", type=OUTPUT, required=True, metavar="FILE", help="Where to write the page.")
@click.option("--title", metavar="TEXT", help="What the dataset is called. [the pool's name]")
@click.option("--pipeline", metavar="NAME", help="spaCy pipeline for root verbs and objects. [the small English one, if installed]")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def report_command(pool: Path, output: Path, title: str | None, pipeline: str | None, force: bool) -> None:
    """Write what one would publish beside the dataset of POOL: one HTML file that loads nothing and runs no script.

    Scorecard, decisions, diversity, quality as people rated it, training curve, evaluation, examples, models with their licences,
    settings and seeds. A section for which the pool has nothing yet says which command would add it. Raters are numbered, not named,
    and no path of this machine is told. The same pool gives the same page. For a dataset card: studio export --card.
    """
    from studio.pool.exchange.outputs import refuse_existing
    from studio.pool.pool import Queries
    from studio.publish.page import page
    from studio.publish.publication import publication

    refuse_existing(output, pool, force)
    with Queries.open(pool) as reader, progress_bar() as progress:
        size = write_text(page(publication(reader, title or pool.stem, _parser(pipeline), progress)), output)
    click.echo(f"wrote {display_line(str(output))}: {size:,} bytes", err=True)


def _parser(pipeline: str | None) -> Parser | None:
    """The parser asked for, or the usual one if it is installed; the page says so where it is not."""
    from studio.insight.diversity.parser import load_parser

    if pipeline is not None:
        return load_parser(pipeline)
    try:
        return load_parser()
    except UsageError:
        return None
