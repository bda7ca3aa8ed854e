"""ROUGE-L has the very bits that `rouge_score` gives."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import scoring
from rouge_score.rouge_scorer import RougeScorer

from studio.loop.novelty import f1, f1_array, lcs_length, rouge_l
from studio.loop.tokens import ascii_tokens

SCORER = RougeScorer(["rougeL"], use_stemmer=False)
LONGEST = 60


def released(target: str, prediction: str) -> float:
    return float(SCORER.score(target, prediction)["rougeL"].fmeasure)


def all_lengths() -> list[tuple[int, int, int]]:
    return [(lcs, m, n) for m in range(1, LONGEST + 1) for n in range(1, LONGEST + 1) for lcs in range(min(m, n) + 1)]


def test_every_length_in_both_orders() -> None:
    for lcs, m, n in all_lengths():
        expected = scoring.fmeasure(lcs / n, lcs / m)
        assert f1(lcs, m, n) == expected
        assert f1(lcs, n, m) == expected


def test_numpy_has_the_bits_of_python() -> None:
    lengths = np.array(all_lengths())
    expected = np.array([f1(*row) for row in lengths.tolist()])
    for kind in (np.int64, np.uint16, np.uint8):
        scores = f1_array(*(column.astype(kind) for column in lengths.T))
        assert scores.tobytes() == expected.tobytes()


def test_the_boundary() -> None:
    # 2 L / (m + n) = 7 / 10 in mathematics.
    exact = [(lcs, m, n) for lcs, m, n in all_lengths() if 20 * lcs == 7 * (m + n)]
    scores = [f1(*lengths) for lengths in exact]
    assert len(exact) == 86
    assert sum(score > 0.7 for score in scores) == 50
    assert set(scores) == {0.6999999999999998, 0.7, 0.7000000000000001, 0.7000000000000002}
    for lcs, m, n in exact:
        target = " ".join(f"w{place}" for place in range(m))
        prediction = " ".join(f"w{place}" if place < lcs else f"x{place}" for place in range(n))
        assert released(target, prediction) == released(prediction, target) == rouge_l(ascii_tokens(target), ascii_tokens(prediction))


def test_thousands_of_random_pairs() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        vocabulary = [f"w{number}" for number in range(rng.choice([2, 5, 20]))]
        a, b = (" ".join(rng.choices(vocabulary, k=rng.randrange(25))) for _ in range(2))
        score = rouge_l(ascii_tokens(a), ascii_tokens(b))
        assert score == released(a, b) == released(b, a)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_texts(a: str, b: str) -> None:
    assert rouge_l(ascii_tokens(a), ascii_tokens(b)) == released(a, b)


def test_nothing_against_anything() -> None:
    assert rouge_l([], []) == rouge_l([], ["a"]) == rouge_l(["a"], []) == 0.0
    assert f1(0, 0, 0) == 0.0
    assert f1_array(np.zeros(1, np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64)).tolist() == [0.0]


def test_lcs_length() -> None:
    assert lcs_length(list("abcde"), list("xbydz")) == 2
    assert lcs_length(["a"] * 300, ["a"] * 299 + ["b"]) == 299
