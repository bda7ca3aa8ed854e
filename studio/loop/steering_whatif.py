"""Steering many candidates at once: what another rule would have decided becomes what holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from studio.errors import UsageError
from studio.loop.novelty import NoveltyIndex
from studio.loop.reasons import OTHER_RULES
from studio.loop.stages.context import StageContext
from studio.loop.whatif import Change, Flip, what_if
from studio.pool.actions.records import ComparedTask, Effect, HandDecision, Note
from studio.records import Novelty, Verdict

_AT_A_TIME = 64
Decisions = list[tuple[int, HandDecision]]


def apply(context: StageContext, change: Change, expected: Collection[int] | None) -> Effect:
    """Decide the candidates that flip under `change` as it decides them; see `Steering.apply_what_if`."""
    flips = what_if(context.pool.reader, change).flips
    if not flips:
        raise UsageError("no candidate would be decided otherwise", "move the threshold or switch a filter first")
    if expected is not None and set(expected) != {flip.candidate_id for flip in flips}:
        raise UsageError("the pool has changed since this was worked out", "look at what would flip now, and apply that")
    joining = sum(flip.accepted for flip in flips)
    words = f"decided {len(flips):,} candidates again under {in_words(change)}: {joining:,} joined, {len(flips) - joining:,} left"
    return context.pool.ledger.decide_all(Note("what if", words), _decisions(context, flips))


def in_words(change: Change) -> str:
    """The change for people: `threshold 0.55, length off`."""
    threshold = [] if change.threshold is None else [f"threshold {change.threshold:.2f}"]
    return ", ".join(threshold + [f"{name} {'on' if on else 'off'}" for name, on in sorted(change.filters.items())]) or "the run's rules"


def _decisions(context: StageContext, flips: Sequence[Flip]) -> Decisions:
    """A person's decision for each flip, those that join first.

    They are scored against the pool as it stands without those that leave, one after another in their order; those that leave against what
    there is then. The index is left as it was.
    """
    leaving = [flip for flip in flips if not flip.accepted]
    # Tasks of candidates that a person accepted once and then did not have ids already; the others get the next ones.
    known = [flip for flip in flips if flip.accepted and flip.task_id is not None]
    new = [flip for flip in flips if flip.accepted and flip.task_id is None]
    next_id = context.pool.next_task_id()
    with _borrowed(context, [flip.task_id for flip in flips if flip.task_id is not None]) as (index, added):
        decisions: Decisions = []
        for flip in known:
            assert flip.task_id is not None
            decisions.append(_joining(flip, index.batch([flip.text]).novelty(0)))
            index.put(flip.task_id, flip.text, is_seed=False)
            added.append(flip.task_id)
        for start in range(0, len(new), _AT_A_TIME):
            piece = new[start : start + _AT_A_TIME]
            batch = index.batch([flip.text for flip in piece])
            for place, flip in enumerate(piece):
                decisions.append(_joining(flip, batch.novelty(place)))
                batch.accept(place, next_id)
                added.append(next_id)
                next_id += 1
        for start in range(0, len(leaving), _AT_A_TIME):
            piece = leaving[start : start + _AT_A_TIME]
            batch = index.batch([flip.text for flip in piece])
            for place, flip in enumerate(piece):
                decisions.append((flip.candidate_id, HandDecision(Verdict.REJECTED, flip.after, batch.novelty(place))))
        return decisions


def _joining(flip: Flip, novelty: Novelty) -> tuple[int, HandDecision]:
    return flip.candidate_id, HandDecision(Verdict.ACCEPTED, OTHER_RULES, novelty)


@contextmanager
def _borrowed(context: StageContext, without: Sequence[int]) -> Iterator[tuple[NoveltyIndex, list[int]]]:
    """The index without the tasks `without`; what is noted in the list is taken out of it again, and they come back."""
    index = context.index
    held: list[ComparedTask] = [task for task in context.pool.reader.compared_tasks(without) if task.compared]
    added: list[int] = []
    try:
        for task in held:
            index.remove(task.id)
        yield index, added
    finally:
        for task_id in added:
            index.remove(task_id)
        for task in held:
            index.put(task.id, task.instruction, is_seed=task.is_seed)
