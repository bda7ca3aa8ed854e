"""`studio publish`: a pool's data with its card and its report as a dataset of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from studio.cli.export import usual_parser
from studio.cli.selecting import Selection, Written, chosen, selecting, write_selection
from studio.cli.shared import POOL, in_columns, print_json, progress_bar, write_text
from studio.errors import PoolError, UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from studio.publish.card import CardOptions
    from studio.publish.pushing import Parcel, Pushed


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
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def publish_command(pool: Path, repo: str, parquet: bool, public: bool, pushing: bool, force: bool, as_json: bool, **said: Any) -> None:
    """Publish data, card and report of POOL as the dataset OWNER/NAME of the Hugging Face hub, private unless --public.

    Without --push it is a dry run: everything is made and shown, with its size and sha256, and no network is used. With --push it goes up
    in one commit; when that breaks, the repository is as it was, and the same command tries again. What is there already is not sent again.

    The token is that of `hf auth login` or HF_TOKEN; HF_ENDPOINT names another hub. A repository with files that the studio did not put
    there, or that were changed since, is refused without --force; others' files are never removed. The options that choose data are as in
    `studio export`.
    """
    wish = _wish(pool, repo, parquet, public, said)
    if force and not pushing:
        raise UsageError("--force goes with --push", "the dry run looks at no repository")
    with TemporaryDirectory(prefix="studio-publish-") as folder:
        parcel, written = _pack(wish, Path(folder))
        pushed = _push(wish, parcel, force) if pushing else None
        if not as_json:
            _show(wish, parcel, written, _is_private(wish, pushed))
    _tell(wish, pushed)
    if as_json:
        print_json(_as_dict(wish, parcel, written, pushed))


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


def _push(wish: _Wish, parcel: Parcel, force: bool) -> Pushed:
    import sys

    from studio.publish.pushing import push

    return push(parcel, wish.repo, public=wish.public, force=force, say=_say, bars=sys.stderr.isatty())


def _say(words: str) -> None:
    click.echo(display_line(words), err=True)


def _is_private(wish: _Wish, pushed: Pushed | None) -> bool:
    """Whether the account alone sees the dataset: as it is on the hub, or would be if it were made now."""
    return pushed.private if pushed else not wish.public


def _show(wish: _Wish, parcel: Parcel, written: Written, private: bool) -> None:
    """Print what the parcel holds."""
    rows = [("file", "bytes", "records", "sha256")]
    rows += [(each.path, f"{each.size:,}", f"{each.records:,}" if each.records else "", each.names.sha256) for each in parcel.files]
    for line in in_columns(rows, right=(1, 2)):
        click.echo(line)
    seen = "private" if private else "public, everybody sees it"
    click.echo(f"dataset: {wish.repo} ({seen}), licence {wish.described.licence}, title {display_line(wish.described.title, 120)}")
    click.echo(f"data: {parcel.records:,} records of {written.summary.tasks:,} tasks as {wish.selection.options.format}")


def _tell(wish: _Wish, pushed: Pushed | None) -> None:
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


def _as_dict(wish: _Wish, parcel: Parcel, written: Written, pushed: Pushed | None) -> dict[str, Any]:
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
