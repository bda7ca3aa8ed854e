"""What is told of an evaluation: who took part, the figures, some answers, and what people thought of them."""

from __future__ import annotations

from dataclasses import dataclass

from studio.pool.evaluation_records import ContestantRecord, EvaluationRecord
from studio.pool.queries import Queries
from studio.publish.examples import AnsweredExample, answered


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """One evaluation of the pool with its contestants in the order they came."""

    evaluation: EvaluationRecord
    contestants: tuple[ContestantRecord, ...]
    examples: tuple[AnsweredExample, ...]


def evaluation_facts(pool: Queries, evaluation: EvaluationRecord, seed: str) -> EvaluationFacts:
    """Gather what the pool knows of an evaluation; `seed` decides which answers are shown. Raises PoolError."""
    contestants = tuple(pool.contestants(evaluation.id))
    return EvaluationFacts(evaluation, contestants, answered(pool, evaluation.id, contestants, seed))
