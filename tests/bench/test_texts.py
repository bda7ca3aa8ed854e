"""Made-up instructions."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from studio.bench.pools import instructions, known_words


def test_the_same_seed_gives_the_same_texts() -> None:
    assert list(instructions(300, seed=4)) == list(instructions(300, seed=4))
    assert list(instructions(300, seed=4)) != list(instructions(300, seed=5))


def test_a_larger_pool_begins_like_a_smaller_one() -> None:
    assert list(islice(instructions(30_000), 10_000)) == list(instructions(10_000))


def test_lengths_and_frequencies_are_those_of_instructions() -> None:
    texts = [text.rstrip(".").lower().split() for text in instructions(5_000)]
    lengths = [len(words) for words in texts]
    assert 14 < sum(lengths) / len(lengths) < 18
    assert min(lengths) >= 4 and max(lengths) <= 60
    counts = Counter(word for words in texts for word in words).most_common()
    assert counts[0][1] > 20 * counts[200][1]
    assert len(counts) > 5_000


def test_some_texts_are_nearly_copies() -> None:
    texts = [set(text.rstrip(".").lower().split()) for text in instructions(400, seed=1)]
    alike = [1 for place, text in enumerate(texts) if any(len(text & other) > 0.6 * len(text) > 3 for other in texts[:place])]
    assert 5 < len(alike) < 120


def test_the_vocabulary_has_no_word_twice() -> None:
    words = known_words()
    assert len(set(words)) == len(words) > 20_000
