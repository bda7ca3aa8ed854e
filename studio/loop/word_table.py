"""Looking up the numbers of very many tokens at once.

A dictionary of some hundred thousand tokens does not fit into the processor's cache: each look-up waits for main memory several times,
which is most of the time that indexing a large pool takes. The vector operations here wait for many tokens together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_SLOT_BITS = 18
_WIDTH = 16
"""Tokens of at most so many bytes are kept here, in two machine words; longer ones are left to the dictionary."""

_ROW = np.dtype([("low", np.uint64), ("high", np.uint64), ("number", np.uint32)])
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], dtype=np.uint64)
_SPACE = ord(" ")
_LOW_FACTOR, _HIGH_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


class WordTable:
    """Keeps the numbers of tokens by their bytes, one token a slot; what is not in its slot is asked of `number` and put there.

    Tokens are compared whole, so the numbers are exact whatever shares a slot. An empty slot holds the break: one zero byte, number 0.
    """

    def __init__(self, number: Callable[[str], int]) -> None:
        self._number = number
        self._rows = np.zeros(1 << _SLOT_BITS, dtype=_ROW)

    def numbers(self, joined: bytes) -> NDArray[np.uint32]:
        """Return the number of each token of `joined`, UTF-8 with spaces between tokens; `number` is called in their order."""
        # The space before and after gives every token two edges; the rest lets two words be read wherever a token begins.
        text = b" " + joined + b" " * (_WIDTH + 1)
        inside = np.frombuffer(text, dtype=np.uint8) != _SPACE
        edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        starts, stops = edges[::2], edges[1::2]
        sizes = stops - starts
        words: NDArray[np.uint64] = np.ndarray(len(text) - 7, dtype="<u8", buffer=text, strides=(1,))
        low = words[starts] & _MASKS[np.minimum(sizes, 8)]
        high = words[starts + 8] & _MASKS[np.clip(sizes - 8, 0, 8)]
        slots = (low * _LOW_FACTOR ^ high * _HIGH_FACTOR) >> np.uint64(64 - _SLOT_BITS)
        found = self._rows[slots]
        numbers: NDArray[np.uint32] = found["number"].copy()
        fits = sizes <= _WIDTH
        missed = np.flatnonzero((found["low"] != low) | (found["high"] != high) | ~fits)
        spans = zip(starts[missed].tolist(), stops[missed].tolist(), strict=True)
        numbers[missed] = [self._number(str(text[start:stop], "utf-8")) for start, stop in spans]
        kept = missed[fits[missed]]
        # Whole rows in one assignment: where two tokens want a slot, one of them gets all of it.
        rows = np.empty(kept.size, dtype=_ROW)
        rows["low"], rows["high"], rows["number"] = low[kept], high[kept], numbers[kept]
        self._rows[slots[kept]] = rows
        return numbers
