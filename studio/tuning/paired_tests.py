"""Whether two models differ on the same tasks: a paired permutation test of a mean, and McNemar's test of right and wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from studio.tuning.bootstrap import by_task, generator

PERMUTATIONS = 10_000
_EXACT_UP_TO = 12
"""Tasks up to which every assignment of signs is tried: there are no more of them than random ones."""
_ROUNDING = 1e-12


def permutation_p(differences: Sequence[float], tasks: Sequence[int], seed: str, permutations: int = PERMUTATIONS) -> float:
    """Return the two-sided p-value that the mean of paired differences is 0, by exchanging the two models task by task.

    Exact for few tasks; else estimated from random exchanges as (b + 1) / (m + 1), which never is 0 (Phipson and Smyth 2010, Statistical
    Applications in Genetics and Molecular Biology 9, article 39). Raises ValueError without differences.
    """
    sums, _ = by_task(differences, tasks)
    seen = abs(float(sums.sum())) - _ROUNDING
    if len(sums) <= _EXACT_UP_TO:
        bits = np.arange(1 << len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((1.0 - 2.0 * bits) @ sums) >= seen))
    rng = generator(seed, "permutation")
    # A row at a time would be slow, all at once large.
    rows = max(1, (1 << 21) // len(sums))
    extreme = 0
    for start in range(0, permutations, rows):
        signs = 1.0 - 2.0 * rng.integers(0, 2, (min(rows, permutations - start), len(sums)))
        extreme += int(np.sum(np.abs(signs @ sums) >= seen))
    return (extreme + 1) / (permutations + 1)


def mcnemar_p(first_only: int, second_only: int) -> float:
    """Return the exact two-sided p-value of McNemar's test: the sign test over items that only one of two models has right.

    Source: McNemar 1947, Psychometrika 12, p. 153, with the binomial distribution in place of its approximation. 1 where there are none.
    """
    discordant = first_only + second_only
    tail = sum(math.comb(discordant, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail / (1 << discordant))
