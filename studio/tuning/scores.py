"""What an answer is worth: ROUGE-L and exact match against the reference outputs, its length, and whether it is an answer at all;
how sure a mean of these is, and whether two models differ on the same tasks.

Items of one task are not independent, so that intervals and tests draw whole tasks and not items (Davison and Hinkley 1997, Bootstrap
Methods and their Application, section 3.8). Intervals are percentiles of the bootstrap (Efron and Tibshirani 1993, An Introduction to the
Bootstrap, section 13.3).
"""

from __future__ import annotations

import hashlib
import math
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.engine.api import FinishReason
from studio.insight.lint.instances import refusal_in
from studio.pool.evaluations import Answer, EvaluationItem

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """Figures of one answer. `rouge_l` is 0 to 1; `words` are parted by white space, `tokens` are the model's own.

    `cut`: the answer reached the limit of tokens. `unanswered`: the prompt did not fit the model's context.
    """

    rouge_l: float
    exact: bool
    words: int
    tokens: int
    cut: bool
    refusal: bool
    empty: bool
    unanswered: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One contestant's answers without white space at their ends, and their scores, by the items' positions."""

    texts: Mapping[int, str]
    scores: Mapping[int, AnswerScore]


def score_sheet(items: Sequence[EvaluationItem], answers: Mapping[int, Answer]) -> Sheet:
    """Score all answers of a contestant."""
    answered = [item for item in items if item.position in answers]
    texts = {item.position: answers[item.position].completion.text.strip() for item in answered}
    return Sheet(texts, {item.position: score(item, answers[item.position]) for item in answered})


def score(item: EvaluationItem, answer: Answer) -> AnswerScore:
    """Score an answer, white space at its ends left out."""
    completion = answer.completion
    text = completion.text.strip()
    return AnswerScore(
        rouge_l=rouge_l(text, item.outputs),
        exact=exact_match(text, item.outputs),
        words=len(text.split()),
        tokens=completion.completion_tokens,
        cut=completion.finish_reason is FinishReason.LENGTH,
        refusal=bool(refusal_in(item.instruction, text)),
        empty=not text,
        unanswered=completion.finish_reason is FinishReason.REFUSED,
    )


def rouge_l(text: str, references: Sequence[str]) -> float:
    """Return the highest ROUGE-L F1 (0 to 1) of `text` to any reference, by the package `rouge_score` with Porter's stemmer.

    As the evaluation on Super-NaturalInstructions computes it, which the paper reports. Only Latin letters and digits count.
    """
    return max((float(_scorer().score(reference, text)["rougeL"].fmeasure) for reference in references), default=0.0)


def exact_match(text: str, references: Sequence[str]) -> bool:
    """Return whether `text` equals a reference once case, ASCII punctuation and white space are evened out, as in the same evaluation."""
    return any(_even(text) == _even(reference) for reference in references)


def cut_to_words(text: str, words: int) -> str:
    """Return the first `words` words of `text`."""
    return " ".join(text.split()[:words])


def _even(text: str) -> str:
    # A text of punctuation alone is what it is: an empty answer does not equal it.
    return " ".join(text.lower().translate(_PUNCTUATION).split()) or text.strip()


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


RESAMPLES = 10_000
LEVEL = 0.95
_CELLS = 1 << 21
"""Drawn numbers held at a time."""
PERMUTATIONS = 10_000
_EXACT_UP_TO = 12
"""Tasks up to which every assignment of signs is tried: there are no more of them than random ones."""
_ROUNDING = 1e-12


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
    rows = max(1, _CELLS // len(sums))
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
