"""The heuristic filters of instructions: a registry, each filter with its reason codes. They judge candidates only, never seeds."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from studio.errors import UsageError, nearest_name
from studio.loop.tokens import Tokenizer

_PROGRAM = "Write a program"
_OPENING_MARKS = "¿¡"


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """What the filters need to know: how many words an instruction may have, which ones it must not have, and what counts as a word."""

    min_words: int
    max_words: int
    blocked: tuple[str, ...]
    words: Tokenizer


Filter = Callable[[str, FilterSettings], str]
"""Returns the reason code where the instruction has to go, or an empty string."""


def _empty(text: str, _: FilterSettings) -> str:
    return "" if text else "empty"


def _length(text: str, settings: FilterSettings) -> str:
    count = len(settings.words(text))
    if count < settings.min_words:
        return "too_short"
    return "too_long" if count > settings.max_words else ""


@lru_cache(maxsize=16)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    # As the released `\b(word)\b`, but a user's word may begin or end with a sign, as in `C++`.
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)


def _blocked_words(text: str, settings: FilterSettings) -> str:
    return "blocked_word" if settings.blocked and _any_of(settings.blocked).search(text) else ""


def _write_a_program(text: str, _: FilterSettings) -> str:
    """Ignores case; on capitalised text, which is what the released code looks at, that decides as an exact comparison does."""
    return "write_a_program" if text[: len(_PROGRAM)].lower() == _PROGRAM.lower() else ""


def _write_a_program_exact(text: str, _: FilterSettings) -> str:
    """Alpaca's variant, which does not capitalise and looks for the exact phrase."""
    return "write_a_program" if text.startswith(_PROGRAM) else ""


def _ascii_punctuation(text: str, _: FilterSettings) -> str:
    return "starts_with_punctuation" if text and text[0] in string.punctuation else ""


def _unicode_punctuation(text: str, settings: FilterSettings) -> str:
    """Punctuation and symbols of every script, except the Spanish opening marks: ordinary sentences begin with them."""
    if text and unicodedata.category(text[0])[0] in "PS" and text[0] not in _OPENING_MARKS:
        return "starts_with_punctuation"
    return _ascii_punctuation(text, settings)


def _non_ascii(text: str, _: FilterSettings) -> str:
    return "" if text[:1].isascii() else "starts_with_non_ascii"


FILTERS: dict[str, Filter] = {
    "empty": _empty,
    "length": _length,
    "blocked_words": _blocked_words,
    "write_a_program": _write_a_program,
    "write_a_program_exact": _write_a_program_exact,
    "ascii_punctuation": _ascii_punctuation,
    "unicode_punctuation": _unicode_punctuation,
    "non_ascii": _non_ascii,
}
"""All filters by the name that settings use. The order in which a profile names them decides which reason a candidate is given."""


def first_failure(text: str, names: Sequence[str], settings: FilterSettings) -> str:
    """Return the reason code of the first of the filters in `names` that `text` fails, or an empty string when it passes them all.

    Raises UsageError for a name that is no filter.
    """
    for name in names:
        if name not in FILTERS:
            raise UsageError(f"there is no filter {name!r}", nearest_name(name, FILTERS))
        if reason := FILTERS[name](text, settings):
            return reason
    return ""
