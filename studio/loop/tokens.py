"""How text falls into tokens, for ROUGE-L and for counting words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

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
