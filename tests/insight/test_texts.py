"""Quantiles and bins against numpy's, opening words by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from studio.insight.tables import bar
from studio.insight.texts import Distribution, Lengths, opening_word


def of_lengths(lengths: list[int]) -> Distribution:
    taken = Lengths()
    for length in lengths:
        taken.add(" ".join(["word"] * length))
    return taken.result()


@pytest.mark.parametrize("seed", range(20))
def test_quantiles_are_those_of_numpy(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [int(draw.lognormvariate(2, 1)) for _ in range(draw.randint(1, 300))]
    found = of_lengths(lengths)
    expected = np.quantile(lengths, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], method="inverted_cdf")
    assert [found.minimum, found.q05, found.q25, found.median, found.q75, found.q95, found.maximum] == list(expected)
    assert found.mean == pytest.approx(float(np.mean(lengths)))
    assert found.count == len(lengths) == sum(each.count for each in found.bins)
    for each in found.bins:
        assert each.count == sum(each.low <= length <= each.high for length in lengths)


def test_the_bins_double_and_have_no_gap() -> None:
    bins = of_lengths([0, 1, 2, 3, 9, 16]).bins
    assert [(each.label, each.count) for each in bins] == [
        ("0", 1),
        ("1", 1),
        ("2 to 3", 2),
        ("4 to 7", 0),
        ("8 to 15", 1),
        ("16 to 31", 1),
    ]


def test_no_text_at_all() -> None:
    assert of_lengths([]) == Distribution(0, 0.0, 0, 0, 0, 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("instruction", "word"),
    [
        ("Write a haiku.", "write"),
        ("  «Write» a haiku", "write"),
        ("Please, kindly explain.", "explain"),
        ("Could you please name three rivers?", "name"),
        ("Can birds swim?", "can"),
        ("Can you?", "can"),
        ("Please", "please"),
        ("Erkläre den Satz.", "erkläre"),
        ("写一首诗", "写"),
        ("...", ""),
    ],
)
def test_opening_words(instruction: str, word: str) -> None:
    assert opening_word(instruction) == word


@pytest.mark.parametrize(("share", "drawn"), [(0.0, ""), (1e-9, "▏"), (0.5, "█████"), (0.05, "▌"), (1.0, "██████████")])
def test_bars(share: float, drawn: str) -> None:
    assert bar(share, 10) == drawn
