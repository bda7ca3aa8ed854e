"""Which tasks are wanted by what people said of them, as SQL conditions on a table `tasks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.pool.review_records import QUESTIONS, Keep
from studio.text import storable

_YES = " + ".join(f"coalesce({question}, 0)" for question in QUESTIONS)
_ANSWERED = " + ".join(f"({question} IS NOT NULL)" for question in QUESTIONS)
# An answer counts while the texts are what the rater saw.
RATED = (
    "FROM review_items JOIN ratings USING (review_id, position)"
    " JOIN tasks AS judged ON judged.id = review_items.task_id AND judged.instruction = review_items.instruction"
    " JOIN instances ON instances.id = review_items.instance_id AND instances.verdict = 'accepted'"
    " AND instances.input = review_items.input AND instances.output = review_items.output"
    f" WHERE NOT skipped GROUP BY review_items.task_id HAVING sum({_ANSWERED}) > 0"
)
QUALITY = f"CAST(sum({_YES}) AS REAL) / sum({_ANSWERED})"


def keep_conditions(keep: Keep) -> Iterator[tuple[str, list[Any]]]:
    """Yield the conditions, each with its values, that hold for the tasks that are kept; none when all are."""
    if keep.min_quality is not None:
        # Two decimals, so that 0.67 is what it says: two answers of three.
        condition = f"tasks.id IN (SELECT review_items.task_id {RATED} AND round({QUALITY}, 2) >= round(?, 2))"
        if keep.unrated:
            condition = f"({condition} OR tasks.id NOT IN (SELECT review_items.task_id {RATED}))"
        yield condition, [keep.min_quality]
    if keep.tags:
        places = ", ".join("?" * len(keep.tags))
        yield f"tasks.id IN (SELECT task_id FROM task_tags WHERE tag IN ({places}))", [storable(tag) for tag in keep.tags]
    if keep.noted:
        yield "tasks.id IN (SELECT task_id FROM task_notes)", []
