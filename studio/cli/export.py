"""`studio export` and `studio report`: a pool's data as a file that a trainer takes, and a page to publish beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.selecting import Selection, Written, chosen, clear_line, selecting, write_selection
from studio.cli.shared import OUTPUT, POOL, TARGET, print_json, progress_bar, write_text
from studio.errors import UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from studio.insight.phrases import Parser
    from studio.pool.pool import Queries
    from studio.publish.card import CardOptions


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
@selecting
@click.option("--card", type=OUTPUT, metavar="FILE", help="Also write a Hugging Face dataset card, as README.md.")
@click.option("--title", metavar="TEXT", help="With --card: what the dataset is called. [the pool's name]")
@click.option("--license", "licence", metavar="ID", help="With --card: the dataset's licence on the hub, such as apache-2.0. [unknown]")
@click.option("--language", "languages", multiple=True, metavar="CODE", help="With --card: its language, such as en; may be repeated.")
@click.option("--force", is_flag=True, help="Replace a card that is there.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def export_command(pool: Path, output: str, card: Path | None, as_json: bool, **said: Any) -> None:
    """Write the data of POOL, one JSON object a line, or as Parquet where FILE ends in .parquet.

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

    preference and preference-text have a line for each pair of answers of which one is known to be better, and why: a person's edit over
    what it replaced, raters' yes over their no, pairs that were imported, an answer that broke a rule, of several drawn the one that agrees
    most over the one that agrees least. Only the better one has to be among the data that is asked for.
    """
    if as_json and output == "-":
        raise UsageError("--json and -o - both go to stdout", "name a file with -o")
    from studio.pool.pool import Queries

    selection = chosen(said)
    described = _described(card, said, output, pool, selection)
    with Queries.open(pool) as reader, reader.one_state():
        written = write_selection(reader, selection, output, pool)
        if card is not None and described is not None:
            _write_card(reader, card, described, written)
    _tell(written)
    if as_json:
        print_json(_as_dict(written, pool, card))


def _tell(written: Written) -> None:
    summary, name = written.summary, written.selection.options.format
    places = ", ".join(f"{display_line(str(path))} ({count})" for path, count in summary.records.items())
    click.echo(f"{clear_line()}exported {summary.total} records of {summary.tasks} tasks as {name}: {places}", err=True)


def _as_dict(written: Written, pool: Path, card: Path | None) -> dict[str, Any]:
    files = [{"path": str(path), "records": count} for path, count in written.summary.records.items()]
    return {"pool": str(pool), "files": files, **written.as_dict(), "card": str(card) if card is not None else None}


def _described(card: Path | None, said: Mapping[str, Any], output: str, pool: Path, selection: Selection) -> CardOptions | None:
    """What the card says on the user's word, checked before anything is written; None without a card."""
    if card is None:
        if any(said.values()):
            raise UsageError("--title, --license, --language and --force are for a card", "add --card README.md")
        return None
    if output == "-" or selection.options.format == "self-instruct":
        raise UsageError("a card goes with a file of one format", "name a file with -o; for a folder on the hub: -o data/all.jsonl")
    from studio.pool.exchange.outputs import refuse_existing
    from studio.publish.card import CardOptions, check_card_place

    check_card_place(card, Path(output))
    refuse_existing(card, pool, said["force"])
    described = CardOptions(said["title"] or pool.stem, said["licence"] or "unknown", said["languages"])
    described.check()
    return described


def _write_card(reader: Queries, card: Path, described: CardOptions, written: Written) -> None:
    from studio.publish.card import data_files, dataset_card

    write_text(dataset_card(reader, described, written.exported(data_files(card, written.summary))), card)
    stated = "" if described.licence != "unknown" else "; it states no licence: --license"
    click.echo(f"{clear_line()}wrote the card {display_line(str(card))}{stated}", err=True)


@click.command()
@click.argument("pool", type=POOL)
@click.option("-o", "--output", type=OUTPUT, required=True, metavar="FILE", help="Where to write the page.")
@click.option("--title", metavar="TEXT", help="What the dataset is called. [the pool's name]")
@click.option("--pipeline", metavar="NAME", help="spaCy pipeline for root verbs and objects. [the small English one, if installed]")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def report_command(pool: Path, output: Path, title: str | None, pipeline: str | None, force: bool, as_json: bool) -> None:
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
        size = write_text(page(publication(reader, title or pool.stem, usual_parser(pipeline), progress)), output)
    click.echo(f"wrote {display_line(str(output))}: {size:,} bytes", err=True)
    if as_json:
        print_json({"pool": str(pool), "report": str(output), "bytes": size})


def usual_parser(pipeline: str | None) -> Parser | None:
    """The parser asked for, or the usual one if it is installed; the page says so where it is not."""
    from studio.insight.phrases import load_parser

    if pipeline is not None:
        return load_parser(pipeline)
    try:
        return load_parser()
    except UsageError:
        return None
