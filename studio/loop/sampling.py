"""Every random draw of a run, each from a generator of its own: no draw depends on how many came before it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from studio.errors import UsageError
from studio.records import Stage


def generator(seed: str, round_number: int, stage: Stage, ordinal: int, action: int = 0) -> random.Random:
    """The generator of one draw, keyed by where in the run it happens; `action` is the id of a person's action that draws anew."""
    by_hand = f"/{action}" if action else ""
    return random.Random(f"{seed}/{round_number}/{stage}/{ordinal}{by_hand}")


def engine_seed(seed: str, round_number: int, stage: Stage, ordinal: int, action: int = 0) -> int:
    """The 32-bit seed of one request."""
    return generator(seed, round_number, stage, ordinal, action).getrandbits(32)


def in_context_tasks(
    rng: random.Random, seeds: Sequence[int], generated: Sequence[int], total: int, from_generated: int
) -> tuple[int, ...]:
    """Draw the in-context tasks of one prompt, without repetition, shuffled.

    `from_generated` of `total` come from `generated` (fewer while there are fewer), the rest from `seeds`; where the seeds do not
    suffice, generated ones fill up. Source: Self-Instruct, section 2.2 (6 seed and 2 generated tasks).
    Raises UsageError when there is no task at all.
    """
    drawn = rng.sample(generated, min(from_generated, total, len(generated)))
    drawn += rng.sample(seeds, min(total - len(drawn), len(seeds)))
    missing = total - len(drawn)
    if missing and len(generated) > from_generated:
        taken = set(drawn)
        rest = [task for task in generated if task not in taken]
        drawn += rng.sample(rest, min(missing, len(rest)))
    if not drawn:
        raise UsageError("the pool has no task to put into a prompt", "import some, or create the pool with --seeds FILE")
    rng.shuffle(drawn)
    return tuple(drawn)
