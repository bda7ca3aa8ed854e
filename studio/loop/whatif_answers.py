"""What if answers had to agree more, or be likelier, or less: the instances decided again by the stored scores of their answers.

Each instance is decided by itself, so this depends on nothing else that another rule would have decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.loop.filters import DISAGREEMENT, OTHER_RULES, UNLIKELY_ANSWER, VALID, disagrees, is_unlikely
from studio.pool.instances import ScoredAnswer
from studio.pool.pool import Queries
from studio.records import Decider, Verdict

BY_SCORE = (VALID, DISAGREEMENT, UNLIKELY_ANSWER)
"""Reasons of instances that passed every rule but those about scores; of the others no limit makes anything else."""


@dataclass(frozen=True, slots=True)
class InstanceFlip:
    """An instance that would have been decided otherwise: `before` and `after` are reason codes, `valid` the accepting one.

    `agreement` is that of its answer, `text`, with the others drawn: mean ROUGE-L F1, 0 to 1; `nats` a token say how likely the first one
    is. Both are None where nobody knows.
    """

    instance_id: int
    task_id: int
    text: str
    before: str
    after: str
    agreement: float | None
    nats: float | None

    @property
    def accepted(self) -> bool:
        return self.after == VALID


@dataclass(frozen=True, slots=True)
class Limits:
    """Other limits of answers. `min_agreement` None leaves what was decided of agreement, `max_nats` None each round its own limit."""

    min_agreement: float | None = None
    max_nats: float | None = None

    def reason(self, each: ScoredAnswer) -> str:
        """The reason code of an answer that breaks no other rule. Agreement comes first, as when it was decided."""
        apart = each.reason == DISAGREEMENT if self.min_agreement is None else disagrees(each.agreement, self.min_agreement)
        return DISAGREEMENT if apart else UNLIKELY_ANSWER if self._unlikely(each) else VALID

    def _unlikely(self, each: ScoredAnswer) -> bool:
        limit = self.max_nats
        if limit is None:
            if each.reason != DISAGREEMENT:
                # As it was decided: the limit is not asked of what a person had answered besides.
                return each.reason == UNLIKELY_ANSWER
            limit = each.max_nats
        return is_unlikely(each.nats, limit)


def answers_again(reader: Queries, limits: Limits) -> tuple[InstanceFlip, ...]:
    """Decide the instances of tasks that are not retired again.

    What a person decided stands. Raises PoolError as reading does.
    """
    if limits == Limits():
        return ()
    flips = []
    for each in reader.instances.scored_answers():
        if each.decided_by is Decider.RULE and each.reason in BY_SCORE:
            after = limits.reason(each)
            if (after == VALID) is not (each.reason == VALID):
                flips.append(InstanceFlip(each.id, each.task_id, each.output, each.reason, after, each.agreement, each.nats))
    return tuple(flips)


def changed_values(flips: Sequence[InstanceFlip]) -> list[tuple[int, dict[str, str]]]:
    """Return for each flip the instance's id and the columns that decide it so, as a person does."""
    return [
        (
            flip.instance_id,
            {
                "verdict": (Verdict.ACCEPTED if flip.accepted else Verdict.REJECTED).value,
                "reason": OTHER_RULES if flip.accepted else flip.after,
            },
        )
        for flip in flips
    ]
