"""What if answers had to agree more, or less: the instances decided again by the stored agreement of their answers.

Each instance is decided by itself, so this depends on nothing else that another rule would have decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.loop.filters import DISAGREEMENT, OTHER_RULES, VALID
from studio.pool.pool import Queries
from studio.records import Decider, Verdict

BY_AGREEMENT = (VALID, DISAGREEMENT)
"""Reasons of instances that passed every rule but that of agreement; of the others no agreement makes anything else."""


@dataclass(frozen=True, slots=True)
class InstanceFlip:
    """An instance that would have been decided otherwise: `before` and `after` are reason codes, `valid` the accepting one.

    `agreement` is that of its answer, `text`, with the others drawn: mean ROUGE-L F1, 0 to 1.
    """

    instance_id: int
    task_id: int
    text: str
    before: str
    after: str
    agreement: float

    @property
    def accepted(self) -> bool:
        return self.after == VALID


def answers_again(reader: Queries, min_agreement: float | None) -> tuple[InstanceFlip, ...]:
    """Decide the instances of tasks that are not retired again; `min_agreement` None leaves all as they are.

    What a person decided stands. Raises PoolError as reading does.
    """
    if min_agreement is None:
        return ()
    flips = []
    for each in reader.instances.agreed():
        if each.decided_by is Decider.HUMAN or each.reason not in BY_AGREEMENT:
            continue
        after = DISAGREEMENT if each.agreement < min_agreement else VALID
        if after != each.reason:
            flips.append(InstanceFlip(each.id, each.task_id, each.output, each.reason, after, each.agreement))
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
