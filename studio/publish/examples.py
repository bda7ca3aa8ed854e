"""Examples out of a pool: accepted tasks, rejected candidates, and what contestants of an evaluation answered."""

from __future__ import annotations

import random
from dataclasses import dataclass

from studio.insight.lineage.story import Story, story_of
from studio.pool.pool import Queries
from studio.pool.studies.evaluations import ContestantRecord, EvaluationItem
from studio.records import Origin

ACCEPTED = 12
PER_REASON = 3
ANSWERED = 8


@dataclass(frozen=True, slots=True)
class AnsweredExample:
    """An item of an evaluation and what each contestant wrote, in the order of the contestants; None where there is no answer."""

    item: EvaluationItem
    answers: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """A random but repeatable choice: equal pools and seeds give equal examples."""

    seed: str
    accepted: tuple[Story, ...]
    rejected: tuple[Story, ...]


def examples(pool: Queries, seed: str) -> Examples:
    """Choose `ACCEPTED` active generated tasks with instances, and `PER_REASON` rejected candidates for each reason. Raises PoolError."""
    rng = random.Random(f"{seed}/examples")
    frame = pool.task_ids(origin=Origin.GENERATED, with_instances=True)
    chosen = sorted(rng.sample(frame, min(ACCEPTED, len(frame))))
    rejected = pool.rejected_by_reason(PER_REASON)
    return Examples(seed, tuple(story_of(pool, f"t{found}") for found in chosen), tuple(story_of(pool, f"c{found}") for found in rejected))


def answered(pool: Queries, evaluation_id: int, contestants: tuple[ContestantRecord, ...], seed: str) -> tuple[AnsweredExample, ...]:
    """Choose `ANSWERED` items of an evaluation with the answers of `contestants`. Raises PoolError."""
    items = pool.evaluation_items(evaluation_id)
    chosen = sorted(random.Random(f"{seed}/answers").sample(range(len(items)), min(ANSWERED, len(items))))
    sheets = [pool.contestant_answers(each.id) for each in contestants]
    found = []
    for place in chosen:
        told = [sheet.get(items[place].position) for sheet in sheets]
        found.append(AnsweredExample(items[place], tuple(None if each is None else each.completion.text for each in told)))
    return tuple(found)
