"""What is told of an evaluation: who took part, the figures, some answers, and what people thought of them."""

from __future__ import annotations

from dataclasses import dataclass

from studio.insight.studies.comparison_report import GradingReport, grading_report
from studio.pool.pool import Queries
from studio.pool.studies.evaluations import ContestantRecord, EvaluationRecord
from studio.publish.examples import AnsweredExample, answered
from studio.tuning.results import EvaluationResult, evaluation_result


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """One evaluation of the pool with its contestants in the order they came."""

    evaluation: EvaluationRecord
    contestants: tuple[ContestantRecord, ...]
    result: EvaluationResult
    comparisons: tuple[GradingReport, ...]
    examples: tuple[AnsweredExample, ...]


def evaluation_facts(pool: Queries, evaluation: EvaluationRecord, seed: str) -> EvaluationFacts:
    """Gather what the pool knows of an evaluation; `seed` decides which answers are shown. Raises PoolError."""
    contestants = tuple(pool.contestants(evaluation.id))
    ids = {each.id for each in contestants}
    comparisons = [grading_report(pool, each) for each in pool.comparisons() if each.plan.first in ids]
    shown = answered(pool, evaluation.id, contestants, seed)
    return EvaluationFacts(evaluation, contestants, evaluation_result(pool, evaluation.id), tuple(comparisons), shown)
