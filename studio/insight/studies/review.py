"""A review: which tasks raters judge (drawn at random, from a seed, in proportion to strata if asked), and a rater's way through them."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from studio.errors import PoolError
from studio.insight.studies.walk import Walk
from studio.pool.pool import Queries
from studio.pool.studies.reviews import BLANK, Rating, ReviewItem, ReviewPlan, ReviewRecord, Reviews, Strata
from studio.records import Origin, Verdict
from studio.shares import allocate
from studio.text import storable

ROUND_BANDS = 5
"""A sample stratified by round has that many bands of equally many rounds."""
DEEPEST = 5
"""Tasks of this generation depth and beyond are one stratum."""


def open_review(pool: Queries, reviews: Reviews, plan: ReviewPlan) -> ReviewRecord:
    """Return the review of `plan`, drawn now if the pool has none.

    Raises PoolError when there is nothing to draw from or the pool cannot be written.
    """
    found = pool.find_review(plan)
    if found is None:
        reviews.add(plan, draw(pool, plan))
        found = pool.find_review(plan)
    assert found is not None
    return found


def draw(pool: Queries, plan: ReviewPlan) -> list[ReviewItem]:
    """Draw `plan.size` active generated tasks that have an accepted instance, or all if there are fewer, with one instance each.

    Equal pools and plans give equal samples, in equal order. Each stratum gets its proportional share, so the plain share of answers is
    an estimate for the whole pool. Raises PoolError when there is no such task.
    """
    frame = pool.task_ids(origin=Origin.GENERATED, with_instances=True)
    if not frame:
        raise PoolError("nothing to review: the pool has no generated tasks with instances yet", "generate some with studio run")
    rng = random.Random(f"{storable(plan.seed)}/review/tasks")
    named = strata_of(pool, plan.strata)
    if named is None:
        chosen = [(task_id, "") for task_id in rng.sample(frame, min(plan.size, len(frame)))]
    else:
        chosen = _stratified(frame, named, plan.size, rng)
    return [_item(pool, plan, position, task_id, stratum) for position, (task_id, stratum) in enumerate(chosen)]


def strata_of(pool: Queries, strata: Strata) -> Mapping[int, str] | None:
    """Return the stratum of each task by id, in words; None where the sample is not stratified."""
    match strata:
        case Strata.CLASS:
            return {task: "classification" if flag else "not classification" for task, flag in pool.strata_values(strata)}
        case Strata.ROUND:
            return _bands(pool)
        case Strata.DEPTH:
            return {task: f"depth {depth}" if depth < DEEPEST else f"depth {DEEPEST}+" for task, depth in depths(pool).items()}
        case _:
            return None


def depths(pool: Queries) -> dict[int, int]:
    """Return the generation depth of every task with parents: 1 for children of seeds and imports only, else one more than the deepest."""
    found: dict[int, int] = {}
    # In the order of ids: a parent was in the pool, with a lower id, before its child.
    for task, parent in pool.parents_of_all():
        found[task] = max(found.get(task, 1), found.get(parent, 0) + 1)
    return found


def _bands(pool: Queries) -> dict[int, str]:
    rounds = dict(pool.strata_values(Strata.ROUND))
    last = max(rounds.values(), default=1)
    width = -(-last // ROUND_BANDS)

    def name(number: int) -> str:
        first = (number - 1) // width * width + 1
        end = min(first + width - 1, last)
        return f"round {first}" if first == end else f"rounds {first} to {end}"

    names = {number: name(number) for number in set(rounds.values())}
    return {task: names[number] for task, number in rounds.items()}


def _stratified(frame: array[int], named: Mapping[int, str], size: int, rng: random.Random) -> list[tuple[int, str]]:
    # Accepted by a person after its round, a task may have no round or parents of its own.
    stratum = {task_id: named.get(task_id, "none") for task_id in frame}
    shares = allocate(Counter(stratum.values()), size)
    chosen = []
    for name in sorted(shares):
        members = [task_id for task_id in frame if stratum[task_id] == name]
        chosen += [(task_id, name) for task_id in rng.sample(members, shares[name])]
    # Shuffled, so that who stops halfway has seen all strata.
    rng.shuffle(chosen)
    return chosen


def _item(pool: Queries, plan: ReviewPlan, position: int, task_id: int, stratum: str) -> ReviewItem:
    accepted = [each for each in pool.instances(task_id) if each.verdict is Verdict.ACCEPTED]
    # Drawn for each task alone: which other tasks are in the sample changes nothing.
    instance = random.Random(f"{storable(plan.seed)}/review/instance/{task_id}").choice(accepted)
    return ReviewItem(position, task_id, instance.id, stratum, pool.task(task_id).instruction, instance.input, instance.output)


def positions_of(items: Sequence[ReviewItem]) -> dict[str, list[int]]:
    """Return the positions of each stratum's items, strata in the order of their names; empty where there are none."""
    found: dict[str, list[int]] = {}
    for item in sorted(items, key=lambda item: item.stratum):
        if item.stratum:
            found.setdefault(item.stratum, []).append(item.position)
    return found


def newest_plan(pool: Queries) -> ReviewPlan:
    """Return the plan of the newest review, or the paper's when there is none yet: 200 tasks."""
    reviews = pool.reviews()
    return reviews[0].plan if reviews else ReviewPlan()


class Reviewing(Walk[ReviewItem, Rating]):
    """A rater's way through a sample: three questions a task."""

    def __init__(self, review: ReviewRecord, rater: str, items: Sequence[ReviewItem], ratings: Mapping[int, Rating]) -> None:
        self.review = review
        super().__init__(review.id, rater, items, ratings, BLANK)


def begin_reviewing(pool: Queries, reviews: Reviews, plan: ReviewPlan, rater: str) -> Reviewing:
    """Open the review of `plan`, drawn if need be, where `rater` left off. Raises PoolError."""
    return resume_reviewing(pool, open_review(pool, reviews, plan), rater)


def resume_reviewing(pool: Queries, review: ReviewRecord, rater: str) -> Reviewing:
    """Go on with a review. Of the other raters' answers nothing is read."""
    return Reviewing(review, rater, pool.review_items(review.id), pool.ratings(review.id, rater))
