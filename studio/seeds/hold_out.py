"""Which seeds are kept apart for evaluation, and sharing a number out in proportion."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from studio.errors import UsageError
from studio.records import HoldOut, SeedTask


def draw_hold_out(seeds: Sequence[SeedTask], asked: float, seed: str) -> HoldOut:
    """Draw `asked` of `seeds`, a number or a share of them below 1, with as large a part of classification tasks as among all.

    Only seeds with an output can be held out: there must be something to compare an answer with. Equal seeds, `asked` and `seed` give equal
    draws. Raises UsageError when that is no number of tasks, when there are not so many, or when nothing would be left to generate from.
    """
    kinds = {place: _kind(task) for place, task in enumerate(seeds) if any(instance.output.strip() for instance in task.instances)}
    number = _number(asked, len(kinds))
    if number >= len(seeds) or number > len(kinds):
        raise UsageError(
            f"--hold-out {asked:g}: there are {len(seeds)} seeds, {len(kinds)} of them with an output; some must be left to generate from",
            "hold out fewer",
        )
    shares = allocate(Counter(kinds.values()), number)
    chosen: list[int] = []
    for kind in sorted(shares):
        members = [place for place in kinds if kinds[place] == kind]
        chosen += random.Random(f"{seed}/hold-out/{kind}").sample(members, shares[kind])
    return HoldOut(f"{asked:g}", seed, frozenset(chosen))


def _number(asked: float, usable: int) -> int:
    if asked < 1:
        # A share of a small file still holds something out.
        return max(1, round(asked * usable))
    if asked != int(asked):
        raise UsageError(f"--hold-out {asked:g} is neither a number of seeds nor a share of them", "name a number, or a share below 1")
    return int(asked)


def _kind(task: SeedTask) -> str:
    return "classification" if task.is_classification else "other"


def allocate(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Share `total` among strata in proportion to their sizes, by largest remainder; ties go to the larger stratum, then by name.

    A sample as large as the pool or larger takes every stratum whole.
    """
    population = sum(sizes.values())
    if total >= population:
        return dict(sizes)
    shares = {name: total * size // population for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(total * sizes[name] % population), -sizes[name], name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares
