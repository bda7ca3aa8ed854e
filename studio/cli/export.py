"""`studio export`, `report` and `publish`: data as a file that a trainer takes, a page beside it, and both as a dataset on the hub."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from studio.cli.selecting import Selection, Written, chosen, clear_line, selecting, write_selection
from studio.cli.shared import JSON_AT_END, OUTPUT, POOL, TARGET, in_columns, print_json, progress_bar, write_text
from studio.errors import PoolError, UsageError
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.insight.phrases import Parser
    from studio.pool.pool import Queries
    from studio.publish.card import CardOptions
    from studio.publish.pushing import Parcel, Pushed


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
@JSON_AT_END
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
    click.echo(
        f"{clear_line()}exported {counted(summary.total, 'record')} of {counted(summary.tasks, 'task')} as {name}: {places}", err=True
    )


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
@JSON_AT_END
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


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be published, and as what."""

    pool: Path
    repo: str
    selection: Selection
    described: CardOptions
    parquet: bool
    public: bool


@click.command()
@click.argument("pool", type=POOL)
@click.argument("repo", metavar="OWNER/NAME")
@selecting
@click.option("--parquet", is_flag=True, help="Data as Parquet instead of JSON lines.")
@click.option("--license", "licence", metavar="ID", help="The dataset's licence on the hub, such as apache-2.0. Nothing goes without one.")
@click.option("--language", "languages", multiple=True, metavar="CODE", help="Its language, such as en; may be repeated.")
@click.option("--title", metavar="TEXT", help="What the dataset is called. [NAME]")
@click.option("--public", is_flag=True, help="For everybody to see. Without it only your account does.")
@click.option("--push/--dry-run", "pushing", help="Do it, or only show what it would be, which is what is done without either.")
@click.option("--force", is_flag=True, help="Replace files of a repository that are not the studio's, where they are called the same.")
@JSON_AT_END
def publish_command(pool: Path, repo: str, parquet: bool, public: bool, pushing: bool, force: bool, as_json: bool, **said: Any) -> None:
    """Publish data, card and report of POOL as the dataset OWNER/NAME of the Hugging Face hub, private unless --public.

    Without --push it is a dry run: everything is made and shown, with its size and sha256, and no network is used. With --push it goes up
    in one commit; when that breaks, the repository is as it was, and the same command tries again. What is there already is not sent again.

    The token is that of `hf auth login` or HF_TOKEN; HF_ENDPOINT names another hub. A repository with files that the studio did not put
    there, or that were changed since, is refused without --force; others' files are never removed. The options that choose data are as in
    `studio export`.
    """
    from studio.publish.pushing import push

    wish = _wish(pool, repo, parquet, public, said)
    if force and not pushing:
        raise UsageError("--force goes with --push", "the dry run looks at no repository")
    with TemporaryDirectory(prefix="studio-publish-") as folder:
        parcel, written = _pack(wish, Path(folder))
        pushed = push(parcel, wish.repo, public=public, force=force, say=_say, bars=sys.stderr.isatty()) if pushing else None
        if not as_json:
            _show(wish, parcel, written, _is_private(wish, pushed))
    _tell_pushed(wish, pushed)
    if as_json:
        print_json(_published(wish, parcel, written, pushed))


def _wish(pool: Path, repo: str, parquet: bool, public: bool, said: dict[str, Any]) -> _Wish:
    """Check everything that can be checked without the pool. Raises UsageError."""
    from studio.hub import parse_hub_name
    from studio.pool.exchange.formats import find_format
    from studio.publish.card import CardOptions

    name = parse_hub_name(repo, "dataset")
    if name.part or name.revision:
        raise UsageError(f"{display_line(repo, 100)}: a dataset is published as a whole", f"name it {name.repo}")
    selection = chosen(said)
    if find_format(selection.options.format).files:
        raise UsageError(
            f"the format {selection.options.format} is of several files", "publish one of a single file, such as --format chat"
        )
    if (said["licence"] or "unknown") == "unknown":
        raise UsageError("nothing is published without a licence", "state it: --license apache-2.0, cc-by-4.0, other ...")
    described = CardOptions(said["title"] or name.repo.partition("/")[2], said["licence"], said["languages"])
    described.check()
    return _Wish(pool, name.repo, selection, described, parquet, public)


def _pack(wish: _Wish, folder: Path) -> tuple[Parcel, Written]:
    """Make all files in `folder`. Raises PoolError, where there is nothing to publish as well."""
    from studio.pool.pool import Queries
    from studio.publish.card import DataFile, dataset_card
    from studio.publish.page import page
    from studio.publish.publication import publication
    from studio.publish.pushing import CARD, REPORT, NamesAlone, Parcel, packed, packed_data

    ending = ".parquet" if wish.parquet else ".jsonl"
    (folder / "data").mkdir()
    with Queries.open(wish.pool) as reader, reader.one_state():
        written = write_selection(reader, wish.selection, str(folder / "data" / f"all{ending}"), wish.pool, NamesAlone)
        records = {}
        for path, count in written.summary.records.items():
            side = "validation" if path.name == f"all.validation{ending}" else "train"
            path.rename(path.with_name(f"{side}{ending}"))
            records[f"data/{side}{ending}"] = count
        if empty := [path for path, count in records.items() if not count]:
            raise PoolError(f"nothing to publish: {' and '.join(empty)} would have no record", "choose another format, or no --split")
        data = packed_data(folder, records)
        listed = tuple(DataFile(Path(each.path).stem, each.path, each.records, each.names.sha256) for each in data if each.records)
        write_text(dataset_card(reader, wish.described, written.exported(listed)), folder / CARD)
        with progress_bar() as progress:
            write_text(page(publication(reader, wish.described.title, usual_parser(None), progress)), folder / REPORT)
    return Parcel(packed(folder, data)), written


def _say(words: str) -> None:
    click.echo(display_line(words), err=True)


def _is_private(wish: _Wish, pushed: Pushed | None) -> bool:
    """Whether the account alone sees the dataset: as it is on the hub, or would be if it were made now."""
    return pushed.private if pushed else not wish.public


def _show(wish: _Wish, parcel: Parcel, written: Written, private: bool) -> None:
    rows = [("file", "bytes", "records", "sha256")]
    rows += [(each.path, f"{each.size:,}", f"{each.records:,}" if each.records else "", each.names.sha256) for each in parcel.files]
    for line in in_columns(rows, right=(1, 2)):
        click.echo(line)
    seen = "private" if private else "public, everybody sees it"
    click.echo(f"dataset: {wish.repo} ({seen}), licence {wish.described.licence}, title {display_line(wish.described.title, 120)}")
    click.echo(f"data: {counted(parcel.records, 'record')} of {counted(written.summary.tasks, 'task')} as {wish.selection.options.format}")


def _tell_pushed(wish: _Wish, pushed: Pushed | None) -> None:
    from studio.publish.pushing import LOGIN, is_logged_in

    if pushed is None:
        _say("dry run: nothing has left this machine; the same command with --push publishes it")
        if not is_logged_in():
            _say(f"for that the hub has to know you: {LOGIN}")
        return
    for note in pushed.notes:
        _say(f"note: the hub says: {note}")
    if pushed.removed:
        _say(f"removed there, since it is no longer part of it: {', '.join(pushed.removed)}")
    if wish.public and pushed.private:
        _say("note: the repository was private before, and stays so until you change that on its settings page")
    _say(f"{'published' if pushed.changed else 'nothing has changed, nothing was pushed'}: {pushed.address}")


def _published(wish: _Wish, parcel: Parcel, written: Written, pushed: Pushed | None) -> dict[str, Any]:
    files = [{"path": each.path, "bytes": each.size, "sha256": each.names.sha256, "records": each.records} for each in parcel.files]
    return {
        "pool": str(wish.pool),
        "repo": wish.repo,
        "private": _is_private(wish, pushed),
        "licence": wish.described.licence,
        "files": files,
        **written.as_dict(),
        "pushed": pushed is not None and pushed.changed,
        "dry_run": pushed is None,
        "address": pushed.address if pushed else None,
        "commit": pushed.commit if pushed else None,
        "account": pushed.account if pushed else None,
    }
