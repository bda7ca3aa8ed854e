"""Made-up instructions for pools of any size: word frequencies and lengths as in real ones, near copies included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np

from studio.engine.scripted import words
from studio.seeds.reading import bundled_seeds, read_tasks

_VOCABULARY = 40_000
"""Distinct words of a pool of about 50,000 instructions, by the order of magnitude."""
_MEAN_OWN_WORDS = 12.5
_LEAST_WORDS, _MOST_WORDS = 4, 60
_CHUNK = 10_000
_COPIES = 0.1
"""Share of instructions that are an earlier one with a few words replaced."""
_KEPT = 0.8
"""Share of its words that a near copy keeps."""
_ONSETS = tuple("bcdfghjklmnprstvwz")
_RIMES = tuple(vowel + end for vowel in ("a", "e", "i", "o", "u", "ea", "ou") for end in ("ck", "d", "l", "n", "p", "r", "st"))


def instructions(count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` instructions of about 16 words (4 to 60), the same for the same seed.

    Words are drawn by Zipf's law, the commonest from the bundled seed tasks and the scripted engine, the rare ones made of syllables.
    """
    rng = np.random.default_rng(seed)
    vocabulary = np.array(known_words(), dtype=object)
    weights = np.cumsum(1.0 / (np.arange(len(vocabulary)) + 2.0))
    earlier: list[list[str]] = []
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        lengths = np.clip(_LEAST_WORDS + rng.gamma(2.0, _MEAN_OWN_WORDS / 2.0, size).astype(np.int64), _LEAST_WORDS, _MOST_WORDS)
        drawn = vocabulary[np.searchsorted(weights, rng.random(int(lengths.sum())) * weights[-1])].tolist()
        copies = rng.random(size) < _COPIES
        position = 0
        for length, copy in zip(lengths.tolist(), copies.tolist(), strict=True):
            text = drawn[position : position + length]
            position += length
            if copy and earlier:
                text = _near_copy(earlier[int(rng.integers(len(earlier)))], text, rng)
            elif len(earlier) < _CHUNK:
                earlier.append(text)
            yield " ".join(text).capitalize() + "."


@cache
def known_words() -> tuple[str, ...]:
    """The vocabulary, the most frequent word first."""
    texts = [task.instruction for task in read_tasks(bundled_seeds())]
    texts += [part for kind, parts in words().items() if kind != "labels" for part in parts]
    counted: dict[str, int] = {}
    for word in re.findall(r"[a-z0-9]+", " ".join(texts).lower()):
        counted[word] = counted.get(word, 0) + 1
    common = sorted(counted, key=lambda word: (-counted[word], word))
    syllables = [onset + rime for rime in _RIMES for onset in _ONSETS]
    rare = dict.fromkeys(first + second for second in syllables[:60] for first in syllables if first + second not in counted)
    return (*common, *rare)[:_VOCABULARY]


def _near_copy(original: list[str], spare: list[str], rng: np.random.Generator) -> list[str]:
    kept = (rng.random(len(original)) < _KEPT).tolist()
    return [word if keep else spare[place % len(spare)] for place, (word, keep) in enumerate(zip(original, kept, strict=True))]
