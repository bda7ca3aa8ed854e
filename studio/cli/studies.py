"""`studio review`, `compare` and `judge`: people rate a sample, or grade two models' answers, blind; a model is asked the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from studio.cli.pull import model_option
from studio.cli.shared import JSON_AT_END, POOL, TARGET, is_terminal, print_figures, print_json, progress_bar, write_lines
from studio.errors import PoolError, UsageError
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.pool.evaluations import ComparisonPlan, ComparisonRecord
    from studio.pool.pool import Queries
    from studio.pool.reviews import ReviewPlan, ReviewRecord


P = TypeVar("P")
R = TypeVar("R")


def stored_study(there: Sequence[R], plan: P | None, find: Callable[[P], R | None], nothing: PoolError, other: UsageError) -> R:
    """Return the study of `plan`, or the newest of `there` without one. Raises `nothing` where there is none, `other` where none has it."""
    if not there:
        raise nothing
    found = there[0] if plan is None else find(plan)
    if found is None:
        raise other
    return found


def export_study(lines: Iterator[dict[str, Any]], target: str, noun: str, study: str) -> None:
    """Write what raters said as JSON lines, and tell how many `noun` there are of the study. Raises as `write_lines` does."""
    count = write_lines(lines, target)
    click.echo(f"exported {counted(count, noun)} of {study}: {display_line(target)}", err=True)


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
def review_command(pool: Path, rater: str | None, report: bool, as_json: bool, target: str | None, **wanted: Any) -> None:
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
    plan = _plan(**wanted)
    if report or target is not None:
        from studio.insight.studies.review import rating_lines, review_report, review_tables
        from studio.pool.pool import Queries

        with Queries.open(pool) as reader:
            review = _stored_review(reader, plan)
            if target is not None:
                export_study(rating_lines(reader, review), target, "rating", f"review {review.id}")
                return
            figures = review_report(reader, review)
        print_figures(asdict(figures), lambda: review_tables(figures), as_json)
        return
    if not is_terminal():
        raise UsageError(
            "the review screen needs a terminal", f"for the figures: studio review {pool} --report, for all ratings: --export FILE"
        )
    _rate(pool, rater, plan)


def _plan(sample: int | None, seed: str | None, stratify: str | None = None) -> ReviewPlan | None:
    """What was asked for, None where nothing was."""
    from studio.pool.reviews import ReviewPlan, Strata

    if sample is None and seed is None and stratify is None:
        return None
    default = ReviewPlan()
    return ReviewPlan(sample or default.size, default.seed if seed is None else seed, Strata(stratify or default.strata))


def _stored_review(reader: Queries, plan: ReviewPlan | None) -> ReviewRecord:
    reviews = reader.reviews.all()
    known = "; ".join(
        f"--sample {each.plan.size} --seed {display_line(each.plan.seed, 40)} --stratify {each.plan.strata}" for each in reviews[:5]
    )
    nothing = PoolError("nobody has begun a review of this pool yet", "rate a sample first: studio review POOL, in a terminal")
    other = UsageError("the pool has no review with this sample, seed and strata", f"there are: {known}")
    return stored_study(reviews, plan, reader.reviews.find, nothing, other)


def _rate(pool: Path, rater: str | None, plan: ReviewPlan | None) -> None:
    from studio.insight.studies.raters import check_rater
    from studio.insight.studies.review import newest_plan, open_review
    from studio.pool.pool import Pool
    from studio.tui.study.entry import rate

    name = check_rater(rater)
    with Pool.open(pool) as opened:
        review = open_review(opened, opened.reviews, plan or newest_plan(opened))
        rate(opened, review, name)


Between = tuple[int, int] | None


@click.command()
@click.argument("pool", type=POOL)
@click.option("--rater", metavar="NAME", help="Who grades. Raters do not see each other's grades. [the user's name on this machine]")
@click.option("--evaluation", type=click.IntRange(min=1), metavar="N", help="Whose answers. [the newest evaluation]")
@click.option(
    "--between",
    nargs=2,
    type=click.IntRange(min=1),
    metavar="N M",
    help="Two contestants by their numbers in --list. [base and newest tuned]",
)
@click.option("--sample", type=click.IntRange(1, 1_000_000_000), metavar="N", help="Items to draw. [all]")
@click.option("--seed", metavar="TEXT", help="Decides which items, their order, and the sides. [0]")
@click.option("--list", "listed", is_flag=True, help="List the evaluations and their contestants instead.")
@click.option("--report", is_flag=True, help="Print the grades instead, beside the paper's, with Cohen's kappa.")
@click.option("--unblind", is_flag=True, help="With --report or --export: tell whose answers are whose before every rater is done.")
@click.option("--json", "as_json", is_flag=True, help="With --report or --list: print one JSON object.")
@click.option(
    "--export", "target", type=TARGET, metavar="FILE|-", help="Write all grades of the comparison as JSON lines instead; - is stdout."
)
def compare_command(
    pool: Path, rater: str | None, listed: bool, report: bool, unblind: bool, as_json: bool, target: str | None, **wanted: Any
) -> None:
    """Grade the answers of two contestants of a stored evaluation, side by side and blind, as the paper did.

    Each answer gets A (correct and satisfying), B (acceptable, minor faults), C (relevant, major faults) or D (irrelevant or invalid) by
    one key. On which side an answer stands is drawn for each item. The comparison is drawn once: the same options open it again, for every
    rater, where each left off; without any of them the newest one is opened, or a first one drawn. Each key press is stored at once.
    """
    _check(rater, listed, report, unblind, as_json, target)
    from studio.pool.pool import Queries

    if listed:
        with Queries.open(pool) as reader:
            _list(reader, pool, as_json)
        return
    choice = Choice(**wanted)
    if report or target is not None:
        from studio.insight.studies.comparison import grading_report, grading_tables

        with Queries.open(pool) as reader:
            comparison = _stored_comparison(reader, choice.plan(reader) if choice.made else None)
            if target is not None:
                _export_comparison(reader, comparison, unblind, target)
                return
            figures = grading_report(reader, comparison, unblind=unblind)
        print_figures(asdict(figures), lambda: grading_tables(figures), as_json)
        return
    if not is_terminal():
        raise UsageError("grading needs a terminal", f"for the figures: studio compare {pool} --report, for all grades: --export FILE")
    _grade(pool, rater, choice)


def _check(rater: str | None, listed: bool, report: bool, unblind: bool, as_json: bool, target: str | None) -> None:
    if sum((listed, report, target is not None)) > 1:
        raise UsageError("--list, --report and --export are different things", "leave all but one of them out")
    if as_json and not (report or listed):
        raise UsageError("--json is for the figures and the list", "add --report or --list")
    if unblind and not report and target is None:
        raise UsageError("--unblind tells whose answers were graded how", "add --report or --export FILE")
    if rater is not None and (listed or report or target is not None):
        raise UsageError("--rater is for grading", "the list, the figures and the export are of all raters: leave it out")


class Choice(NamedTuple):
    """What was asked for, None where nothing was."""

    evaluation: int | None
    between: Between
    sample: int | None
    seed: str | None

    @property
    def made(self) -> bool:
        return any(each is not None for each in self)

    def plan(self, reader: Queries) -> ComparisonPlan:
        """The comparison that this asks for."""
        from studio.insight.studies.comparison import paired, plan_for

        return plan_for(reader, paired(reader, self.evaluation, self.between), "0" if self.seed is None else self.seed, self.sample)


def _stored_comparison(reader: Queries, plan: ComparisonPlan | None) -> ComparisonRecord:
    nothing = PoolError("nobody has begun a comparison in this pool yet", "grade some answers first: studio compare POOL, in a terminal")
    hint = "leave the options out for the newest, or begin this one in a terminal"
    other = UsageError("the pool has no comparison of these contestants, sample and seed", hint)
    return stored_study(reader.comparisons.all(), plan, reader.comparisons.find, nothing, other)


def _list(reader: Queries, pool: Path, as_json: bool) -> None:
    evaluations: list[dict[str, Any]] = [
        {
            "id": record.id,
            "name": record.name,
            "items": record.items,
            "created_at": record.created_at,
            "contestants": [
                {"number": number, "label": each.contestant.label, "answered": each.answered}
                for number, each in enumerate(reader.evaluations.contestants(record.id), 1)
            ],
        }
        for record in reader.evaluations.all()
    ]
    if as_json:
        print_json({"pool": str(pool), "evaluations": evaluations})
        return
    for found in evaluations:
        click.echo(f"evaluation {found['id']}: {display_line(found['name'], 60)}, {counted(found['items'], 'item')}, {found['created_at']}")
        for each in found["contestants"]:
            click.echo(f"  {each['number']}  {display_line(each['label'], 90)}, {each['answered']} answered")


def _export_comparison(reader: Queries, comparison: ComparisonRecord, unblind: bool, target: str) -> None:
    from studio.insight.studies.comparison import grading_lines, grading_report

    if grading_report(reader, comparison, unblind=unblind).blind:
        message = "not every rater who began is done, and the export would tell whose answers are whose"
        raise UsageError(message, "add --unblind to write it all the same")
    export_study(grading_lines(reader, comparison), target, "grading", f"comparison {comparison.id}")


def _grade(pool: Path, rater: str | None, choice: Choice) -> None:
    from studio.insight.studies.comparison import open_comparison
    from studio.insight.studies.raters import check_rater
    from studio.pool.pool import Pool
    from studio.tui.study.entry import grade

    name = check_rater(rater)
    with Pool.open(pool) as opened:
        there = opened.comparisons.all()
        go_on = there and not choice.made
        comparison = there[0] if go_on else open_comparison(opened, opened.comparisons, choice.plan(opened))
        grade(opened, comparison, name)


@click.command()
@click.argument("pool", type=POOL)
@model_option
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Tasks to judge. [200]")
@click.option("--seed", metavar="TEXT", help="Decides which ones. [0]")
@click.option("--rater-name", "name", default="judge", show_default=True, metavar="NAME", help="Under which the opinions are stored.")
@click.option("--report", is_flag=True, help="Print the figures instead, and how far the judge agrees with people.")
@JSON_AT_END
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
    from studio.insight.studies.review import newest_plan
    from studio.pool.pool import Pool

    with Pool.open(pool) as opened:
        items = sample(opened, _plan(*wanted) or newest_plan(opened))
        click.echo(f"loading {display_line(model) or 'the bundled model'} ...", err=True)
        with closing(open_engine(model)) as engine:
            judge = opened.judges.enter(name, engine.info.model, prompt_version())
            cancel = CancelToken()
            with cancelled_by_signals(cancel, Console(stderr=True)), progress_bar() as progress:
                told = judge_items(opened, engine, judge, items, cancel, progress)
    if as_json:
        print_json({"pool": str(pool), "judge": judge.id, "items": len(items), "opinions": told})
    else:
        click.echo(
            f"{counted(told, 'new opinion')} on {counted(len(items), 'task')}; next: studio judge {display_line(str(pool))} --report",
            err=True,
        )


def _report(pool: Path, as_json: bool) -> None:
    from studio.insight.studies.judge import judge_report, judge_tables
    from studio.pool.pool import Queries

    with Queries.open(pool) as reader, reader.one_state():
        figures = judge_report(reader)
    if not figures:
        raise PoolError("no model has judged this pool yet", "studio judge POOL")
    plain = {"pool": str(pool), "judges": [asdict(each) for each in figures]}
    print_figures(plain, lambda: judge_tables(figures), as_json)
