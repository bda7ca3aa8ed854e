"""Everything that is told of a pool when it is published, gathered in one state of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studio.insight.diversity.figures import Diversity, diversity
from studio.insight.diversity.parser import Parser
from studio.insight.progress import Report, silent
from studio.insight.statistics.figures import Statistics, statistics
from studio.insight.studies.judge_report import JudgeFigures, judge_report
from studio.insight.studies.review_report import ReviewReport, review_report
from studio.pool.pool import Queries
from studio.pool.studies.evaluations import HoldOutRecord
from studio.pool.studies.trainings import LossPoint, Side, TrainingRecord
from studio.publish.evaluations import EvaluationFacts, evaluation_facts
from studio.publish.examples import Examples, examples
from studio.publish.provenance import Provenance, provenance
from studio.records import Origin

SEED = "0"
"""Decides which examples are shown."""


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """A training, how many instances it learned from and was measured by, and its losses by step."""

    training: TrainingRecord
    learned_from: int
    measured_by: int
    losses: tuple[LossPoint, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """What a page is made of. `title` is what the user calls the dataset. Reviews, trainings and evaluations have the newest first."""

    title: str
    statistics: Statistics
    diversity: Diversity
    reviews: tuple[ReviewReport, ...]
    judges: tuple[JudgeFigures, ...]
    trainings: tuple[TrainingFacts, ...]
    evaluations: tuple[EvaluationFacts, ...]
    hold_out: HoldOutRecord | None
    examples: Examples
    provenance: Provenance


def publication(pool: Queries, title: str, parser: Parser | None, report: Report = silent) -> Publication:
    """Gather all that `pool` has; without `parser` its diversity is of words only. Raises PoolError."""
    with pool.one_state():
        figures = statistics(pool, report)
        return Publication(
            title=title,
            statistics=figures,
            diversity=diversity(pool, Origin.GENERATED, parser, advance=_advancing(report, figures.generated)),
            reviews=tuple(review_report(pool, each) for each in pool.reviews()),
            judges=judge_report(pool),
            trainings=tuple(_training(pool, each) for each in pool.trainings()),
            evaluations=tuple(evaluation_facts(pool, each, SEED) for each in pool.evaluations()),
            hold_out=pool.hold_out(),
            examples=examples(pool, SEED),
            provenance=provenance(pool),
        )


def _training(pool: Queries, training: TrainingRecord) -> TrainingFacts:
    sides = [each.side for each in pool.training_items(training.id)]
    return TrainingFacts(training, sides.count(Side.TRAIN), sides.count(Side.VALIDATION), tuple(pool.training_losses(training.id)))


def _advancing(report: Report, total: int) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        report("measuring diversity", done, total)

    return advance
