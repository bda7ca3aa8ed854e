"""Runs of eight tokens that texts have in common."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from studio.loop.tokens import unicode_tokens

GRAM = 8
"""Tokens of the runs that two texts may not share."""


class Grams:
    """All runs of eight tokens of the files' texts, exactly: numbers of tokens as bytes, about 100 bytes a run."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._grams: set[bytes] = set()

    def add(self, text: str) -> None:
        """Take in the runs of a text."""
        numbers = self._numbers
        coded = [numbers.setdefault(token, len(numbers) + 1) for token in unicode_tokens(text)]
        self._grams.update(_run(coded, start) for start in range(len(coded) - GRAM + 1))

    def shared(self, text: str) -> str:
        """Return the first run that the text has in common with the files, empty when there is none."""
        tokens = unicode_tokens(text)
        coded = [self._numbers.get(token, 0) for token in tokens]
        start = 0
        while start + GRAM <= len(coded):
            # A run with a token that the files have not cannot be theirs: go on behind the last such one.
            unknown = next((place for place in range(start + GRAM - 1, start - 1, -1) if not coded[place]), None)
            if unknown is not None:
                start = unknown + 1
            elif _run(coded, start) in self._grams:
                return " ".join(tokens[start : start + GRAM])
            else:
                start += 1
        return ""


def _run(coded: Sequence[int], start: int) -> bytes:
    return array("I", coded[start : start + GRAM]).tobytes()
