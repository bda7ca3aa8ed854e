"""How fast a pool fills up, and what more candidates would bring.

The estimate assumes that the odds of a candidate's acceptance are a power of the number of candidates before it: acceptance falls fast at
first, then ever more slowly, and never below 0. That is binomial regression with a logit link on the logarithm of the number of candidates
(McCullagh and Nelder, Generalized Linear Models, 1989, chapter 4), fitted to the rounds of the latest run, whose settings hold for the
candidates to come. The interval covers the uncertainty of the fit and the chance of the candidates themselves, both widened by the rounds'
overdispersion (their Pearson statistic over its degrees of freedom, at least 1), with Student's t for its few rounds. It is no
promise: another model, threshold or prompt begins another curve, and rounds that depend on each other make it too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AHEAD = 1_000
LEAST_ROUNDS = 8
LEAST_CANDIDATES = 200
_POINTS = 40
_STEPS = 50
_SETTLED = 1e-10

Floats = NDArray[np.float64]
Yield = tuple[int, int]
"""Candidates of a round, and how many of them were accepted."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """What the next `ahead` candidates are expected to bring, with a 95 % interval; None where `refused` says why there is no estimate.

    `exponent` is the power: below 0 the pool fills up, at 0 acceptance stays. `rounds` and `candidates` are those the fit is made of.
    `curve` are points (candidates, accepted) of the whole pool, both counted from its beginning.
    """

    ahead: int
    expected: float | None
    low: float | None
    high: float | None
    exponent: float | None
    rounds: int
    candidates: int
    refused: str
    curve: tuple[Yield, ...]


@dataclass(frozen=True, slots=True)
class _Fit:
    """Intercept and exponent at `centre`, their covariance, and the overdispersion of the rounds."""

    coefficients: Floats
    covariance: Floats
    centre: float
    dispersion: float


def saturation(earlier: Sequence[Yield], latest: Sequence[Yield], ahead: int = AHEAD) -> Saturation:
    """Estimate from the rounds of the `latest` run, which came after those of `earlier` ones, what `ahead` more candidates bring."""
    curve = _curve([*earlier, *latest])
    before = sum(candidates for candidates, _ in earlier)
    rounds = [each for each in latest if each[0]]
    candidates, accepted = sum(each[0] for each in rounds), sum(each[1] for each in rounds)
    refused, found = "", None
    if len(rounds) < LEAST_ROUNDS or candidates < LEAST_CANDIDATES:
        refused = (
            f"an estimate takes {LEAST_ROUNDS} rounds and {LEAST_CANDIDATES} candidates of one run;"
            f" the latest has {len(rounds)} and {candidates}"
        )
    elif accepted in (0, candidates):
        refused = f"{'all' if accepted else 'none'} of {candidates} candidates were accepted: there is no curve to go on with"
    elif (found := _fit(before, rounds)) is None:
        refused = "acceptance changes too abruptly from round to round for a curve"
    if found is None:
        return Saturation(ahead, None, None, None, None, len(rounds), candidates, refused, curve)
    expected, spread = _ahead(found, before + candidates, ahead)
    margin = _student(len(rounds) - 2) * spread
    low, high = max(expected - margin, 0.0), min(expected + margin, float(ahead))
    return Saturation(ahead, expected, low, high, float(found.coefficients[1]), len(rounds), candidates, "", curve)


def _fit(before: int, rounds: Sequence[Yield]) -> _Fit | None:
    """Fit by iteratively reweighted least squares; None when that does not settle."""
    totals, accepted = (np.array(column, dtype=np.float64) for column in zip(*rounds, strict=True))
    # Each round counts at its middle.
    places = np.log1p(before + np.cumsum(totals) - totals / 2)
    centre = float(places.mean())
    design = np.column_stack([np.ones_like(places), places - centre])
    share = accepted.sum() / totals.sum()
    coefficients = np.array([math.log(share / (1 - share)), 0.0])
    for _ in range(_STEPS):
        chance = _chance(design @ coefficients)
        information = design.T @ (design * (totals * chance * (1 - chance))[:, None])
        try:
            step = np.linalg.solve(information, design.T @ (accepted - totals * chance))
        except np.linalg.LinAlgError:
            return None
        coefficients = coefficients + step
        if not np.isfinite(coefficients).all():
            return None
        if np.abs(step).max() < _SETTLED:
            pearson = float(((accepted - totals * chance) ** 2 / (totals * chance * (1 - chance))).sum())
            covariance: Floats = np.linalg.inv(information).astype(np.float64)
            return _Fit(coefficients, covariance, centre, max(pearson / (len(rounds) - 2), 1.0))
    return None


def _ahead(found: _Fit, seen: int, ahead: int) -> tuple[float, float]:
    """The expected number of accepted among the next `ahead` candidates, and its standard error."""
    places = np.log1p(seen + np.arange(ahead) + 0.5) - found.centre
    design = np.column_stack([np.ones_like(places), places])
    chance = _chance(design @ found.coefficients)
    slope = design.T @ (chance * (1 - chance))
    variance = float(slope @ found.covariance @ slope) + float((chance * (1 - chance)).sum())
    return float(chance.sum()), math.sqrt(found.dispersion * variance)


def _chance(logit: Floats) -> Floats:
    clipped: Floats = 1 / (1 + np.exp(-np.clip(logit, -500, 500)))
    return clipped


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t, by its expansion around the normal one: right to a hundredth from five degrees of freedom on."""
    z = 1.959963984540054
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _curve(rounds: Sequence[Yield]) -> tuple[Yield, ...]:
    """The sums after at most `_POINTS` rounds, evenly spread, the last one among them."""
    points: list[Yield] = []
    candidates = accepted = 0
    step = max(-(-len(rounds) // _POINTS), 1)
    for number, (more, new) in enumerate(rounds, 1):
        candidates, accepted = candidates + more, accepted + new
        if number % step == 0 or number == len(rounds):
            points.append((candidates, accepted))
    return tuple(points)
