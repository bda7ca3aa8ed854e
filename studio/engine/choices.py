"""Choosing between given continuations by the logits of a single token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studio.engine.prefix_cache import common_prefix


@dataclass(frozen=True, slots=True)
class Fork:
    """Where tokenised texts part: the tokens they share, and the next token of each."""

    shared: tuple[int, ...]
    branches: tuple[int, ...]


def fork(texts: Sequence[Sequence[int]]) -> Fork | None:
    """Return where `texts`, each a prompt with one choice behind it, part; None unless all part at one place, each with a token of its own.

    >>> fork([(1, 2, 7), (1, 2, 9, 4)])
    Fork(shared=(1, 2), branches=(7, 9))
    """
    first, *others = texts
    length = common_prefix(first, others)
    branches = tuple(text[length] for text in texts if len(text) > length)
    if len(texts) < 2 or len(set(branches)) != len(texts):
        return None
    return Fork(tuple(first[:length]), branches)


def choose(logits: Sequence[float]) -> tuple[int, float]:
    """Return the place of the greatest logit, the first of equal ones, and the softmax probability of place 0 among all of `logits`."""
    greatest = max(logits)
    weights = [math.exp(logit - greatest) for logit in logits]
    return list(logits).index(greatest), weights[0] / sum(weights)
