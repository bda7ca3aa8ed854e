"""Instructions with their dependency trees, drawn by hand in the labels of spaCy's English pipelines, and what is to be found in each.

The trees stand in `instruction_trees.txt`, one a line after verb and noun. A word is `text=lemma/part of speech/number of its
head/relation`; the lemma may be left out where it is the lower-case text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.insight.phrases import Phrase

_TABLE = Path(__file__).with_suffix(".txt")


@dataclass(eq=False)
class Word:
    """A word of a tree, with the attributes of spaCy's tokens. `head` is the number of its head, from 1, 0 for the root."""

    text: str
    lemma_: str
    pos_: str
    head: int
    dep_: str
    children: list[Word] = field(default_factory=list)


@dataclass(frozen=True)
class Tree:
    """An instruction, its words with their children in place, and the phrase that the rule is to find in it."""

    words: tuple[Word, ...]
    expected: Phrase | None

    @property
    def text(self) -> str:
        return re.sub(r" (?=[.,?])", "", " ".join(word.text for word in self.words))

    @property
    def root(self) -> Word:
        return next(word for word in self.words if word.head == 0)


def read_tree(line: str) -> Tree:
    """Read a line of the table."""
    found, drawn = line.split(" | ")
    verb, noun = found.split()
    words = tuple(_word(part) for part in drawn.split())
    for word in words:
        if word.head:
            words[word.head - 1].children.append(word)
    return Tree(words, None if verb == "-" else Phrase(verb, None if noun == "-" else noun))


def _word(part: str) -> Word:
    shape, part_of_speech, head, relation = part.rsplit("/", 3)
    text, _, lemma = shape.partition("=")
    return Word(text, lemma or text.lower(), part_of_speech, int(head), relation)


def _trees() -> Iterator[Tree]:
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        yield read_tree(line)


TREES = tuple(_trees())
