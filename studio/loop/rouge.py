"""ROUGE-L F1, bit-equal to the `rouge_score` package: an integer LCS, then that package's float formula in its own order.

`scorer.score(target, prediction)` has precision = LCS / len(prediction) and recall = LCS / len(target). The formula gives the same bits for
both orders: doubling is exact, and one rounded product and one rounded sum do not depend on the order of their terms. So no function here
says which of the two texts is the target; the released code passes the candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length, in tokens, of the longest common subsequence of two token lists."""
    ids: dict[str, int] = {}
    left, right = ([ids.setdefault(token, len(ids)) for token in tokens] for tokens in (a, b))
    return int(LCSseq.similarity(left, right))


def f1(lcs: int, m: int, n: int) -> float:
    """Return the F1 (0 to 1) of two texts of `m` and `n` tokens whose longest common subsequence has `lcs`; 0 when there is none."""
    if lcs == 0:
        return 0.0
    precision = lcs / n
    recall = lcs / m
    return 2 * precision * recall / (precision + recall)


def f1_array(lcs: NDArray[Any], m: NDArray[Any], n: NDArray[Any]) -> NDArray[np.float64]:
    """Return `f1` for integer arrays that broadcast together, element by element with the same bits.

    numpy rounds each operation on float64 as Python does, as long as the order is kept and nothing is fused.
    """
    common = lcs.astype(np.float64)
    precision: NDArray[np.float64] = common / np.maximum(n, 1)
    recall = common / np.maximum(m, 1)
    total = precision + recall
    # Where the total is 0 so are the terms, and 0 / 1 is the 0 that is due.
    total[total == 0] = 1
    precision *= 2
    precision *= recall
    precision /= total
    return precision


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the ROUGE-L F1 (0 to 1) of two token lists; 0 when either is empty."""
    return f1(lcs_length(a, b), len(a), len(b))
