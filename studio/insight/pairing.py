"""Whose answers can be compared: the contestants of stored evaluations, and which two are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.errors import PoolError, UsageError
from studio.pool.pool import Queries
from studio.pool.studies.comparisons import ComparisonPlan
from studio.pool.studies.evaluations import ContestantRecord, EvaluationRecord
from studio.text import storable

Pair = tuple[ContestantRecord, ContestantRecord]


@dataclass(frozen=True, slots=True)
class Comparable:
    """An evaluation with the contestants, two at least, who have answered all of it, in the order they came."""

    evaluation: EvaluationRecord
    contestants: tuple[ContestantRecord, ...]


def comparable(pool: Queries) -> list[Comparable]:
    """Return the evaluations of which two contestants can be compared, the newest first."""
    found = []
    for record in pool.evaluations():
        done = tuple(each for each in pool.contestants(record.id) if each.answered >= record.items)
        if len(done) > 1:
            found.append(Comparable(record, done))
    return found


def newest_or_first(pool: Queries, there: Sequence[Comparable]) -> ComparisonPlan | None:
    """Return the plan of the newest comparison, or else of one of all items of the newest of `there`; None where there is neither."""
    if comparisons := pool.comparisons():
        return comparisons[0].plan
    if not there:
        return None
    first, second = likely_pair(there[0].contestants) or there[0].contestants[:2]
    return ComparisonPlan(first.id, second.id, "0", there[0].evaluation.items)


def likely_pair(there: Sequence[ContestantRecord]) -> Pair | None:
    """Return the first contestant that has no adapter, as the base, and the last one that has, as the tuned; or the only two there are."""
    base = next((each for each in there if not each.contestant.adapter), None)
    tuned = next((each for each in reversed(there) if each.contestant.adapter), None)
    if base is not None and tuned is not None:
        return base, tuned
    return (there[0], there[1]) if len(there) == 2 else None


def paired(pool: Queries, evaluation: int | None = None, between: tuple[int, int] | None = None) -> Pair:
    """Return the two contestants to compare, of an evaluation or else the newest.

    `between` are their numbers in it, from 1 in the order they came; without it the `likely_pair`. Raises PoolError when there is no
    evaluation, UsageError when the choice is not clear.
    """
    evaluations = pool.evaluations()
    if not evaluations:
        raise PoolError("nothing has been evaluated with this pool yet", "studio evaluate POOL --adapter FILE --against MODEL")
    there = pool.contestants(pool.evaluation(evaluation).id if evaluation is not None else evaluations[0].id)
    if between is not None:
        if between[0] == between[1] or not all(1 <= number <= len(there) for number in between):
            raise UsageError(f"there are no two contestants {between[0]} and {between[1]}", "studio compare POOL --list shows them")
        return there[between[0] - 1], there[between[1] - 1]
    pair = likely_pair(there)
    if pair is None:
        raise UsageError(f"{len(there)} contestants answered: which two?", "studio compare POOL --list shows them, --between 1 2 chooses")
    return pair


def plan_for(pool: Queries, pair: Pair, seed: str, size: int | None) -> ComparisonPlan:
    """Return the plan of a comparison of `size` items, None being all. Raises PoolError when one of the two is not done answering."""
    total = pool.evaluation(pair[0].evaluation_id).items
    for each in pair:
        if each.answered < total:
            raise PoolError(
                f"{each.contestant.label} has answered {each.answered} of {total} items", "let it finish: studio evaluate, as before"
            )
    return ComparisonPlan(pair[0].id, pair[1].id, storable(seed), min(size or total, total))
