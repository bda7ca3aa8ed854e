"""How sure a mean is: percentile intervals from resampling whole tasks.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3. Items of one task are not independent, so that tasks are
drawn and not items (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95
_CELLS = 1 << 21
"""Drawn numbers held at a time."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the bounds of its 95 % interval, which are the mean itself where there is only one task to draw."""

    value: float
    low: float
    high: float


def estimate(values: Sequence[float], tasks: Sequence[int], seed: str, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean of `values`, each of the task in the same place of `tasks`, with its bootstrap interval.

    Equal arguments give equal intervals. Raises ValueError when there are no values or not as many tasks.
    """
    sums, counts = by_task(values, tasks)
    drawn = np.concatenate(list(_means(sums, counts, seed, resamples)))
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high))


def by_task(values: Sequence[float], tasks: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the number of the values of each task, in the order of the tasks' numbers.

    Raises ValueError when there are no values or not as many tasks.
    """
    if not values or len(values) != len(tasks):
        raise ValueError(f"{len(values)} values of {len(tasks)} tasks")
    _, place = np.unique(np.asarray(tasks), return_inverse=True)
    sums = np.bincount(place, np.asarray(values, dtype=np.float64)).astype(np.float64)
    return sums, np.bincount(place).astype(np.float64)


def generator(seed: str, what: str) -> np.random.Generator:
    """Return the generator of random numbers for one purpose: what is drawn for another changes nothing."""
    digest = hashlib.sha256(f"{seed}/{what}".encode(errors="replace")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def _means(sums: NDArray[np.float64], counts: NDArray[np.float64], seed: str, resamples: int) -> Iterator[NDArray[np.float64]]:
    rng = generator(seed, "bootstrap")
    rows = max(1, _CELLS // len(sums))
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, len(sums), (min(rows, resamples - start), len(sums)))
        yield sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
