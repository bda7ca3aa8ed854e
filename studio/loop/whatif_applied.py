"""What another rule would have decided is let hold: one action, each flip in it a person's decision beside the rule's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from studio.errors import UsageError
from studio.loop.filters import OTHER_RULES
from studio.loop.stages.asking import StageContext
from studio.loop.whatif import AT_A_TIME, Change, Flip, what_if
from studio.loop.whatif_answers import InstanceFlip, changed_values
from studio.pool.actions.changes import Effect
from studio.pool.actions.ledger import HandDecision, Note
from studio.records import Novelty, Verdict

Decisions = list[tuple[int, HandDecision]]


Known = tuple[Collection[int], Collection[int]]
"""The ids of candidates and of instances that are known to flip."""


def apply(context: StageContext, change: Change, expected: Known | None) -> Effect:
    """Decide what flips under `change` as it decides it; see `Steering.apply_what_if`."""
    outcome = what_if(context.pool, change)
    flips, instances = outcome.flips, outcome.instances
    if not flips and not instances:
        raise UsageError("no candidate would be decided otherwise", "move the threshold or switch a filter first")
    found = {flip.candidate_id for flip in flips}, {flip.instance_id for flip in instances}
    if expected is not None and (set(expected[0]), set(expected[1])) != found:
        raise UsageError("the pool has changed since this was worked out", "look at what would flip now, and apply that")
    told = [_told(name, each) for name, each in (("candidate", flips), ("instance", instances)) if each]
    what, so = " and ".join(what for what, _ in told), "; ".join(so for _, so in told)
    note = Note("what if", f"decided {what} again under {in_words(change)}: {so}")
    return context.pool.ledger.decide_all(note, _decisions(context, flips), changed_values(instances))


def _told(name: str, flips: Sequence[Flip | InstanceFlip]) -> tuple[str, str]:
    """How many of `name` flip, and which way, in words."""
    joining = sum(flip.accepted for flip in flips)
    return f"{len(flips):,} {name}{'s' if len(flips) != 1 else ''}", f"{joining:,} joined, {len(flips) - joining:,} left"


def in_words(change: Change) -> str:
    """The change for people: `threshold 0.55, length off`."""
    limits = (
        ("threshold {:.2f}", change.threshold),
        ("at most {:.2f} nats a token", change.max_nats),
        ("agreement from {:.2f}", change.min_agreement),
        ("answers of at most {:.2f} nats a token", change.max_answer_nats),
    )
    parts = [words.format(value) for words, value in limits if value is not None]
    return ", ".join(parts + [f"{name} {'on' if on else 'off'}" for name, on in sorted(change.filters.items())]) or "the run's rules"


def _decisions(context: StageContext, flips: Sequence[Flip]) -> Decisions:
    """A person's decision for each flip, those that join first.

    They are scored against the pool as it stands without those that leave, one after another in their order; those that leave against what
    there is then. The index is left as it was.
    """
    leaving = [flip for flip in flips if not flip.accepted]
    # Tasks of candidates that a person accepted once and then did not have ids already; the others get the next ones.
    known = [flip for flip in flips if flip.accepted and flip.task_id is not None]
    new = [flip for flip in flips if flip.accepted and flip.task_id is None]
    next_id = context.pool.tasks.next_id()
    index = context.index
    with context.index_without([flip.task_id for flip in flips if flip.task_id is not None]) as added:
        decisions: Decisions = []
        for flip in known:
            assert flip.task_id is not None
            decisions.append(_joining(flip, index.batch([flip.text]).novelty(0)))
            index.put(flip.task_id, flip.text, is_seed=False)
            added.append(flip.task_id)
        for start in range(0, len(new), AT_A_TIME):
            piece = new[start : start + AT_A_TIME]
            batch = index.batch([flip.text for flip in piece])
            for place, flip in enumerate(piece):
                decisions.append(_joining(flip, batch.novelty(place)))
                batch.accept(place, next_id)
                added.append(next_id)
                next_id += 1
        for start in range(0, len(leaving), AT_A_TIME):
            piece = leaving[start : start + AT_A_TIME]
            batch = index.batch([flip.text for flip in piece])
            for place, flip in enumerate(piece):
                decisions.append((flip.candidate_id, HandDecision(Verdict.REJECTED, flip.after, batch.novelty(place))))
        return decisions


def _joining(flip: Flip, novelty: Novelty) -> tuple[int, HandDecision]:
    return flip.candidate_id, HandDecision(Verdict.ACCEPTED, OTHER_RULES, novelty)
