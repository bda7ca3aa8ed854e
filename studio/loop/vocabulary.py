"""Tokens as numbers, and token lists as strings with one code point a token: the shape in which RapidFuzz compares them fastest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

Encoded = str | tuple[int, ...]
"""A token list. RapidFuzz takes a character and an integer for equal when the code point is that integer, so both kinds compare exactly."""

_FIRST_SURROGATE = 0xD800
_AFTER_SURROGATES = 0xE000


class Vocabulary:
    """Gives each distinct token a number, counted from `first`.

    Number 0 is no token's: it stands for tokens that were never added, which equal none that was. Surrogates are left out. The tokens
    beyond the last code point (the first 1,112,063 fit) get higher numbers; a list that holds one of them is encoded as a tuple of
    integers, slower and as exact.
    """

    def __init__(self, first: int = 1) -> None:
        self._numbers: dict[str, int] = {}
        self._next = first

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, tokens: Sequence[str]) -> Encoded:
        """Return `tokens` encoded; those not met before get a number."""
        numbers = self._numbers
        for token in tokens:
            if token not in numbers:
                numbers[token] = self._next
                self._next += 1
                if self._next == _FIRST_SURROGATE:
                    self._next = _AFTER_SURROGATES
        return self.encode(tokens)

    def encode(self, tokens: Sequence[str]) -> Encoded:
        """Return `tokens` encoded; those never added become number 0, so two different ones of them are not told apart."""
        numbers = self._numbers
        codes = [numbers.get(token, 0) for token in tokens]
        if codes and max(codes) > sys.maxunicode:
            return tuple(codes)
        return "".join(map(chr, codes))
