"""Sharing a whole number out in proportion."""

from __future__ import annotations

from collections.abc import Mapping


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
