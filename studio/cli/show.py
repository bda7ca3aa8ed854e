"""`studio show`: a task or candidate and how it came about, or a list of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.arguments import POOL
from studio.cli.printing import print_json, print_tables
from studio.errors import UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from studio.pool.pool import Queries

_LINES = 20


@click.command()
@click.argument("pool", type=POOL)
@click.argument("reference", required=False, metavar="[ID]")
@click.option("--search", metavar="TEXT", help="List the tasks whose instruction has these words.")
@click.option("--rejected", is_flag=True, help="List rejected candidates, the newest first, with the reason.")
@click.option("--tree", is_flag=True, help="Show whom the task descends from, up to the seeds, and what descends from it.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="Lines of a list (20 without it), or tasks in either direction of a tree (200 without it)."
)
@click.option("--prompts", is_flag=True, help="Show the full prompts, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    pool: Path, reference: str | None, search: str | None, rejected: bool, tree: bool, limit: int | None, prompts: bool, as_json: bool
) -> None:
    """Show one task or candidate of POOL and the whole story of how it came about.

    ID is a task's (176) or a candidate's (c12). Without one, the newest tasks are listed.
    """
    from studio.pool.pool import Queries

    if reference is not None and (search is not None or rejected):
        raise UsageError("an ID cannot be combined with --search or --rejected", "leave one of them out")
    if tree and reference is None:
        raise UsageError("--tree shows the lineage of one task", "name its ID: studio show POOL 176 --tree")
    with Queries.open(pool) as reader:
        if reference is None:
            _list(reader, search, rejected, limit or _LINES, as_json)
        elif tree:
            _tree(reader, reference, limit, as_json)
        else:
            _tell(reader, reference, prompts, as_json)


def _tell(reader: Queries, reference: str, prompts: bool, as_json: bool) -> None:
    from studio.insight.lineage.story import story_of

    story = story_of(reader, reference)
    if as_json:
        print_json(story.as_dict())
        return

    from studio.insight.lineage.story_report import story_report

    print_tables(story_report(story, prompts=prompts))


def _tree(reader: Queries, reference: str, limit: int | None, as_json: bool) -> None:
    from studio.insight.lineage.family import LIMIT, family_of

    family = family_of(reader, reference, limit or LIMIT)
    if as_json:
        print_json(family.as_dict())
        return

    from studio.insight.lineage.family import family_report

    print_tables(family_report(family), soft_wrap=True)


def _list(reader: Queries, search: str | None, rejected: bool, limit: int, as_json: bool) -> None:
    rows: list[dict[str, str]]
    if rejected:
        rows = [{"id": f"c{each.id}", "kind": each.reason, "text": each.text} for each in reader.rejected_candidates(limit, search)]
    else:
        ids = reader.search(search, limit) if search is not None else reader.newest_tasks(limit)
        rows = [
            {"id": str(task.id), "kind": "held out" if task.held_out else str(task.origin), "text": task.instruction}
            for task in reader.tasks(ids)
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['id']:>7}  {row['kind']:<12}  {display_line(row['text'], 120)}")
    if not rows:
        click.echo("nothing found", err=True)
