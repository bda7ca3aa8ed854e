"""`studio review`: people rate a sample of the pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.arguments import POOL, TARGET
from studio.cli.printing import print_figures
from studio.cli.studies import export_study, stored_study
from studio.cli.terminal import is_terminal
from studio.errors import PoolError, UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from studio.pool.pool import Queries
    from studio.pool.studies.reviews import ReviewPlan, ReviewRecord

STRATA = ("none", "round", "class", "depth")


@click.command()
@click.argument("pool", type=POOL)
@click.option("--rater", metavar="NAME", help="Who rates. Raters do not see each other's answers. [the user's name on this machine]")
@click.option("--sample", type=click.IntRange(1, 1_000_000_000), metavar="N", help="Tasks to draw. [200]")
@click.option("--seed", metavar="TEXT", help="Decides which ones. [0]")
@click.option("--stratify", type=click.Choice(STRATA), help="Draw from each stratum in proportion to its size. [none]")
@click.option("--report", is_flag=True, help="Print the figures instead: the paper's table 2 with intervals, and Cohen's kappa.")
@click.option("--json", "as_json", is_flag=True, help="With --report: print one JSON object.")
@click.option(
    "--export", "target", type=TARGET, metavar="FILE|-", help="Write all ratings of the review as JSON lines instead; - is stdout."
)
def command(
    pool: Path,
    rater: str | None,
    sample: int | None,
    seed: str | None,
    stratify: str | None,
    report: bool,
    as_json: bool,
    target: str | None,
) -> None:
    """Rate a random sample of POOL, as the paper did: three questions a task, one key each.

    The sample has one instance of each task and is drawn once: the same --sample, --seed and --stratify open it again, for every rater,
    where each left off. Without any of the three the newest review is opened, or a first one drawn. Each key press is stored at once.
    """
    if as_json and not report:
        raise UsageError("--json is for the figures", f"add --report: studio review {pool} --report --json")
    if report and target is not None:
        raise UsageError("--report and --export are two things", "leave one of them out")
    if rater is not None and (report or target is not None):
        raise UsageError("--rater is for rating", "the figures and the export tell of all raters: leave it out")
    plan = _plan(sample, seed, stratify)
    if report or target is not None:
        from studio.pool.pool import Queries

        with Queries.open(pool) as reader:
            review = _stored(reader, plan)
            if target is None:
                _report(reader, review, as_json)
            else:
                _export(reader, review, target)
        return
    if not is_terminal():
        raise UsageError(
            "the review screen needs a terminal", f"for the figures: studio review {pool} --report, for all ratings: --export FILE"
        )
    _rate(pool, rater, plan)


def _plan(sample: int | None, seed: str | None, stratify: str | None) -> ReviewPlan | None:
    """What was asked for, None where nothing was."""
    from studio.pool.studies.reviews import ReviewPlan, Strata

    if sample is None and seed is None and stratify is None:
        return None
    default = ReviewPlan()
    return ReviewPlan(sample or default.size, default.seed if seed is None else seed, Strata(stratify or default.strata))


def _stored(reader: Queries, plan: ReviewPlan | None) -> ReviewRecord:
    reviews = reader.reviews()
    known = "; ".join(
        f"--sample {each.plan.size} --seed {display_line(each.plan.seed, 40)} --stratify {each.plan.strata}" for each in reviews[:5]
    )
    nothing = PoolError("nobody has begun a review of this pool yet", "rate a sample first: studio review POOL, in a terminal")
    other = UsageError("the pool has no review with this sample, seed and strata", f"there are: {known}")
    return stored_study(reviews, plan, reader.find_review, nothing, other)


def _report(reader: Queries, review: ReviewRecord, as_json: bool) -> None:
    from studio.insight.studies.review_report import review_report, review_tables

    figures = review_report(reader, review)
    print_figures(figures.as_dict(), lambda: review_tables(figures), as_json)


def _export(reader: Queries, review: ReviewRecord, target: str) -> None:
    from studio.insight.studies.review_report import rating_lines

    export_study(rating_lines(reader, review), target, f"ratings of review {review.id}")


def _rate(pool: Path, rater: str | None, plan: ReviewPlan | None) -> None:
    from studio.insight.studies.review import newest_plan, open_review
    from studio.insight.studies.walk import check_rater
    from studio.pool.pool import Pool
    from studio.tui.study.entry import rate

    name = check_rater(rater)
    with Pool.open(pool) as opened:
        review = open_review(opened.reader, opened.reviews, plan or newest_plan(opened.reader))
        rate(opened, review, name)
