"""Root verb and direct object of every second seed instruction, labelled by hand before any parse was seen.

The labels stand in `seed_phrases.txt`, one a line: the seed's place in the file, verb and noun, `-` where there is none. Of the first
sentence counts the verb of its main clause; where that has only a form of *be*, the verb nearest to it, if any. The noun is the head of
the verb's direct object when it is a common noun: whom something is told or given, clauses, pronouns, names and what a preposition
governs are none. Both as a dictionary lists them, but *data* and *people*, which are words of their own.
"""

from __future__ import annotations

from pathlib import Path

from studio.insight.phrases import Phrase
from support.sessions import all_seeds

_TABLE = Path(__file__).with_suffix(".txt")


def labelled_seeds() -> list[tuple[str, Phrase | None]]:
    """The labelled instructions with their labels."""
    seeds = all_seeds()
    rows = (line.split() for line in _TABLE.read_text(encoding="utf-8").splitlines())
    return [(seeds[int(place)].instruction, _label(verb, noun)) for place, verb, noun in rows]


def _label(verb: str, noun: str) -> Phrase | None:
    return None if verb == "-" else Phrase(verb, None if noun == "-" else noun)
