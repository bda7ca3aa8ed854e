"""Tokens as numbers, and token lists as strings with one code point a token: the shape in which RapidFuzz compares them fastest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from studio.loop.tokens import BREAK
from studio.loop.word_table import WordTable

Encoded = str | tuple[int, ...]
"""A token list. RapidFuzz takes a character and an integer for equal when the code point is that integer, so both kinds compare exactly."""

_NO_TOKEN = 0
_FIRST_SURROGATE = 0xD800
_AFTER_SURROGATES = 0xE000
_CODE_POINTS = f"utf-32-{sys.byteorder[0]}e"


class _Numbers(dict[str, int]):
    """The number of each token; asking for a token without one gives it the next."""

    def __init__(self, first: int) -> None:
        super().__init__({BREAK: _NO_TOKEN})
        self.next = first

    def __missing__(self, token: str) -> int:
        number = self[token] = self.next
        self.next += 1
        if self.next == _FIRST_SURROGATE:
            self.next = _AFTER_SURROGATES
        return number


class Vocabulary:
    """Gives each distinct token a number, counted from `first`.

    Number 0 is no token's: it stands for tokens that were never added, which equal none that was. Surrogates are left out. The tokens
    beyond the last code point (the first 1,112,063 fit) get higher numbers; a list that holds one of them is encoded as a tuple of
    integers, slower and as exact.
    """

    def __init__(self, first: int = 1) -> None:
        self._numbers = _Numbers(first)
        self._table = WordTable(self._numbers.__getitem__)

    def __len__(self) -> int:
        return len(self._numbers) - 1

    def add(self, tokens: Sequence[str]) -> Encoded:
        """Return `tokens` encoded; those not met before get a number."""
        return _encoded([self._numbers[token] for token in tokens])

    def add_joined(self, joined: bytes) -> list[Encoded]:
        """Return many token lists encoded, as `add` does one after another but several times faster.

        `joined` is as `studio.loop.tokens.joined_tokens` gives it: a BREAK ends each list.
        """
        codes = self._table.numbers(joined)
        if self._numbers.next <= sys.maxunicode + 1:
            # All numbers are code points: one string of them all falls apart at the breaks.
            *lists, _ = codes.tobytes().decode(_CODE_POINTS).split(chr(_NO_TOKEN))
            return list[Encoded](lists)
        stops = np.flatnonzero(codes == _NO_TOKEN).tolist()
        starts = [0, *(stop + 1 for stop in stops)]
        return [_encoded(codes[start:stop].tolist()) for start, stop in zip(starts, stops, strict=False)]

    def encode(self, tokens: Sequence[str]) -> Encoded:
        """Return `tokens` encoded; those never added become number 0, so two different ones of them are not told apart."""
        return _encoded([self._numbers.get(token, _NO_TOKEN) for token in tokens])


def _encoded(codes: Sequence[int]) -> Encoded:
    if codes and max(codes) > sys.maxunicode:
        return tuple(codes)
    return "".join(map(chr, codes))
