"""`studio judge`: a model answers the raters' questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.shared import POOL, print_figures, print_json, progress_bar
from studio.errors import PoolError, UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from studio.pool.pool import Queries
    from studio.pool.studies.reviews import ReviewPlan


@click.command()
@click.argument("pool", type=POOL)
@click.option("-m", "--model", default="", metavar="MODEL", help="Name or path of a model, or a server's address. [the bundled one]")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Tasks to judge. [200]")
@click.option("--seed", metavar="TEXT", help="Decides which ones. [0]")
@click.option("--rater-name", "name", default="judge", show_default=True, metavar="NAME", help="Under which the opinions are stored.")
@click.option("--report", is_flag=True, help="Print the figures instead, and how far the judge agrees with people.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def judge_command(pool: Path, model: str, sample: int | None, seed: str | None, name: str, report: bool, as_json: bool) -> None:
    """Let a model answer the three questions of `studio review` about a sample of POOL.

    It judges the sample of the review with this --sample and --seed, or what that review would draw; without either, that of the newest
    review. What it says is one more recorded opinion: nothing is filtered or decided by it. Rate the same sample yourself and see with
    --report what the judge is worth; a small model's opinion is often worth nothing. Interrupted, the same command goes on.
    """
    if report:
        if sample is not None or seed is not None or model:
            raise UsageError("--report tells of all judges and samples", "leave --model, --sample and --seed out")
        _report(pool, as_json)
    elif not name.strip():
        raise UsageError("--rater-name is empty", "leave it out to have it called judge")
    else:
        _judge(pool, model, (sample, seed), name.strip(), as_json)


def _judge(pool: Path, model: str, wanted: tuple[int | None, str | None], name: str, as_json: bool) -> None:
    from rich.console import Console

    from studio.engine.api import CancelToken
    from studio.engine.opening import open_engine
    from studio.headless import cancelled_by_signals
    from studio.insight.studies.judge import judge_items, prompt_version, sample
    from studio.pool.pool import Pool

    console = Console(stderr=True)
    with Pool.open(pool) as opened:
        items = sample(opened, _plan(opened, *wanted))
        console.print(f"loading {display_line(model) or 'the bundled model'} ...", markup=False, highlight=False, soft_wrap=True)
        engine = open_engine(model)
        try:
            judge = opened.judges.enter(name, engine.info.model, prompt_version())
            cancel = CancelToken()
            with cancelled_by_signals(cancel, console), progress_bar() as progress:
                told = judge_items(opened, engine, judge, items, cancel, progress)
        finally:
            engine.close()
    if as_json:
        print_json({"pool": str(pool), "judge": judge.id, "items": len(items), "opinions": told})
    else:
        click.echo(f"{told} new opinions on {len(items)} tasks; next: studio judge {display_line(str(pool))} --report", err=True)


def _plan(reader: Queries, size: int | None, seed: str | None) -> ReviewPlan:
    from studio.pool.studies.reviews import ReviewPlan

    if size is None and seed is None and (reviews := reader.reviews.all()):
        return reviews[0].plan
    default = ReviewPlan()
    return ReviewPlan(size or default.size, default.seed if seed is None else seed)


def _report(pool: Path, as_json: bool) -> None:
    from studio.insight.studies.judge import judge_report, judge_tables
    from studio.pool.pool import Queries

    with Queries.open(pool) as reader, reader.one_state():
        figures = judge_report(reader)
    if not figures:
        raise PoolError("no model has judged this pool yet", "studio judge POOL")
    plain = {"pool": str(pool), "judges": [each.as_dict() for each in figures]}
    print_figures(plain, lambda: judge_tables(figures), as_json)
