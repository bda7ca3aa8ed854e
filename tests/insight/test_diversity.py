"""The measures of words, against computations that share nothing with them but the tokens."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from rouge_score import rouge_scorer

from studio.bench.pools import instructions
from studio.insight.diversity import WordDiversity, WordMeasures, diversity, self_rouge_l
from studio.loop.tokens import ascii_tokens
from studio.pool.pool import Queries
from studio.records import Instance, Origin
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS

TEXTS = list(instructions(300))


def measured(texts: list[str], *, sample: int = 1000, seed: str = "0", window: int = 500) -> WordDiversity:
    measures = WordMeasures(sample=sample, seed=seed, window=window)
    for place, text in enumerate(texts):
        measures.add(place, text)
    return measures.result()


def test_a_few_words_by_hand() -> None:
    figures = measured(["Write a poem.", "Write a story!", "write a poem"], window=4)
    assert (figures.instructions, figures.words, figures.distinct_words) == (3, 9, 4)
    assert figures.distinct_1 == 4 / 9
    assert figures.distinct_2 == 3 / 6  # write a, a poem, a story
    # Six windows of four words; those with all four different are "poem write a story" and "story write a poem".
    assert figures.mattr == pytest.approx((3 + 3 + 4 + 3 + 3 + 4) / 6 / 4)
    assert figures.self_rouge_l == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_ratios_are_those_of_a_plain_computation() -> None:
    figures = measured(TEXTS, window=50)
    tokens = [ascii_tokens(text) for text in TEXTS]
    stream = [word for words in tokens for word in words]
    pairs = [pair for words in tokens for pair in pairwise(words)]
    ratios = [len(set(stream[start : start + 50])) / 50 for start in range(len(stream) - 49)]
    assert figures.words == len(stream)
    assert figures.distinct_1 == len(set(stream)) / len(stream)
    assert figures.distinct_2 == len(set(pairs)) / len(pairs)
    assert figures.mattr == pytest.approx(sum(ratios) / len(ratios), abs=1e-12)


def test_pairs_merged_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(TEXTS)
    monkeypatch.setattr("studio.insight.diversity._PAIRS_AT_A_TIME", 64)
    assert measured(TEXTS) == whole


def test_the_moving_ratio_does_not_fall_with_the_pool_as_the_plain_one_does() -> None:
    few, many = measured(TEXTS[:60], window=100), measured(TEXTS, window=100)
    assert many.distinct_1 < 0.8 * few.distinct_1
    assert many.mattr == pytest.approx(few.mattr, rel=0.05)


def test_the_self_rouge_is_that_of_rouge_score() -> None:
    texts = [*TEXTS[:40], TEXTS[3], "..."]
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    highest = [
        max(scorer.score(other, text)["rougeL"].fmeasure for at, other in enumerate(texts) if at != place)
        for place, text in enumerate(texts)
    ]
    figures = measured(texts)
    assert figures.sampled == 42
    assert figures.self_rouge_l == pytest.approx(sum(highest) / len(highest), abs=1e-12)


def test_copies_beyond_the_neighbours_that_are_kept_score_one() -> None:
    assert self_rouge_l([(place, "the very same words") for place in range(30)]) == 1.0
    assert self_rouge_l([(1, "alone")]) == self_rouge_l([]) == 0.0


def test_the_sample_is_the_seeds() -> None:
    first, again, other = (measured(TEXTS, sample=40, seed=seed).self_rouge_l for seed in ("a", "a", "b"))
    assert first == again != other


def test_every_instruction_is_equally_likely_in_the_sample() -> None:
    met = [0] * 20
    for seed in range(2000):
        measures = WordMeasures(sample=5, seed=str(seed))
        for place in range(20):
            measures.add(place, "word")
        for place, _ in measures._sample.chosen:
            met[place] += 1
    # Expected 500 each with a standard deviation of 19.
    assert min(met) > 400 and max(met) < 600


def test_nothing_and_hostile_texts() -> None:
    assert measured([]) == WordDiversity(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0)
    figures = measured([*NASTY_TEXTS, "", "..."])
    assert figures.instructions == len(NASTY_TEXTS) + 2
    assert 0 < figures.distinct_1 <= 1 and 0 < figures.distinct_2 <= 1


@pytest.mark.parametrize(("origin", "words"), [(Origin.GENERATED, 6), (Origin.SEED, 12), (Origin.IMPORTED, 3), (None, 21)])
def test_the_tasks_of_one_origin(tmp_path: Path, origin: Origin | None, words: int) -> None:
    tasks = (("Tell a joke.", False, (Instance("", "Ha."),)), ("Name a river.", False, (Instance("", "Rhine."),)))
    read: list[tuple[int, int]] = []
    with Queries.open(build_pool(tmp_path / "pool.db", tasks)) as reader:
        figures = diversity(reader, origin, None, progress=lambda _, done, total: read.append((done, total)))
        assert read[-1] == (figures.words.instructions, reader.figures.active(origin))
        assert read[-1][0] == read[-1][1]
    assert figures.words.words == words
    assert figures.phrases is None
