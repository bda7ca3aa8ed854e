"""How text falls into tokens, for ROUGE-L and for counting words, and tokens as numbers, the shape in which RapidFuzz is fastest.

A dictionary of some hundred thousand tokens does not fit into the processor's cache: each look-up waits for main memory several times,
which is most of the time that indexing a large pool takes. The vector operations of `WordTable` wait for many tokens together.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Tokenizer = Callable[[str], list[str]]
"""Splits a text into its tokens, in order. All of them split ASCII text as `ascii_tokens` does."""

BREAK = "\0"
"""Ends the tokens of a text in `joined_tokens`; tokens are letters, digits and marks, so it is none."""

_ASCII_TOKEN = re.compile(r"[a-z0-9]+")

# No UTF-8 text has this byte. The table makes it the break, other ASCII lower-case letters, digits and spaces, and leaves the rest.
_JOINT = 0xFF
_ENDING = bytes([ord(" "), _JOINT, ord(" ")])
_JOINED = bytes(
    ord(BREAK) if code == _JOINT else code if code >= 0x80 else ord(chr(code).lower()) if chr(code).isalnum() else ord(" ")
    for code in range(256)
)

# Scripts that are written without spaces between words: each character is a token. First and last code point of each block.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3041, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo extended
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK unified ideographs
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0x1AFF0, 0x1B16F),  # Kana supplements
    (0x20000, 0x3FFFF),  # CJK extensions B and later
)


def _is_joiner(code: int, category: str) -> bool:
    """Invisible format characters and variation selectors stand inside words without parting them."""
    return category == "Cf" or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF


class _Spread(dict[int, str]):
    """A `str.translate` table, filled as characters are met: it spreads text so that `split()` yields the tokens.

    `marks` collects the combining marks of spaced scripts: they belong to the letter before them and begin no token.
    """

    def __init__(self) -> None:
        super().__init__()
        self.marks = ""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if _is_joiner(code, category):
            spread = ""
        elif category[0] not in "LNM":
            spread = " "
        elif any(first <= code <= last for first, last in _UNSPACED):
            spread = f" {char} "
        else:
            spread = char
            self.marks += char if category[0] == "M" else ""
        self[code] = spread
        return spread


_SPREAD = _Spread()


def ascii_tokens(text: str) -> list[str]:
    """Return `rouge_score`'s tokens: lower-case runs of `a-z` and `0-9`, no stemming.

    Text in other scripts has none, so its ROUGE-L to anything is 0; profiles that follow the original accept that.
    """
    return _ASCII_TOKEN.findall(text.lower())


def unicode_tokens(text: str) -> list[str]:
    """Return lower-case runs of letters, digits and combining marks of every script; unspaced scripts fall into characters.

    Unspaced are Han, Hiragana, Katakana, Bopomofo, Thai, Lao, Khmer and Myanmar. Korean, Hindi, Arabic and others keep their words. Text is
    brought to NFKC first: what looks the same (`é` in one code point or two, full-width letters, half-width kana, ligatures) is the same,
    and two copies that differ in the encoding only do not count as new. Case is folded rather than lowered for the same reason (`ß` and
    `SS`, both Greek sigmas). ASCII text has the same tokens as under `ascii_tokens`.
    """
    if text.isascii():
        return _ASCII_TOKEN.findall(text.lower())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    tokens = folded.translate(_SPREAD).split()
    marks = _SPREAD.marks
    if any(token[0] in marks for token in tokens):
        # Spacing accents, as in "don´t", are a space and a mark in NFKC.
        tokens = [bare for token in tokens if (bare := token.lstrip(marks))]
    return tokens


def joined_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> bytes:
    """Return the tokens of each text, one text after another, with a BREAK after each: in UTF-8, apart by one or more spaces.

    ASCII texts, in which all tokenisers agree, are split together, much faster than one by one.
    """
    pieces = [(text if text.isascii() else " ".join(tokenizer(text))).encode() for text in texts]
    return _ENDING.join([*pieces, b""]).translate(_JOINED)


TOKENIZERS: dict[str, Tokenizer] = {"ascii": ascii_tokens, "unicode": unicode_tokens}
"""Tokenisers by the name that settings use."""


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


Encoded = str | tuple[int, ...]
"""A token list. RapidFuzz takes a character and an integer for equal when the code point is that integer, so both kinds compare exactly."""

_NO_TOKEN = 0
_FIRST_SURROGATE = 0xD800
_AFTER_SURROGATES = 0xE000
_CODE_POINTS = f"utf-32-{sys.byteorder[0]}e"


class TokenNumbers(dict[str, int]):
    """The number of each token; asking for a token without one gives it the next."""

    def __init__(self, first: int = 1) -> None:
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
        self._numbers = TokenNumbers(first)
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
