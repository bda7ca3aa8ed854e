"""Completions fall apart into candidates. Nothing a model writes makes these functions raise."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.loop.lists import Items, split_list

# Possessive quantifiers (`++`, `?+`) match what the released patterns match, but never give back: no text makes them slow.
_NUMBER = re.compile(r"\n\d++\s?+\. ")

_FIELDS = 7
"""Parts of a complete triple: what stands before the first field, then three times the field's name and its text."""


@dataclass(frozen=True, slots=True)
class ParsedCandidate:
    """An instruction found in a completion, with the reason code of an early discard or an empty one.

    `input` and `output` only where a completion writes whole tasks; `output` is then never None.
    """

    text: str
    discard: str = ""
    input: str | None = None
    output: str | None = None


def collapse(text: str) -> str:
    """Return `text` in one line, each run of white space one space, none at the ends."""
    return " ".join(text.split())


def parse_instructions(
    text: str, *, truncated: bool, keep_complete: bool, capitalize: bool, first_number: int | None = None
) -> list[ParsedCandidate]:
    """Split the continuation of a numbered list into instructions, in order.

    The released rule: an item ends where a line begins with digits, perhaps one white space, a full stop and a space. The first item
    has no number of its own, because the prompt ends with it. White space is collapsed; `capitalize` also lower-cases all but the first
    letter, the released code's fault included.

    With a `first_number`, the one that the prompt ends with, lists in other forms are told apart, too: see `studio.loop.lists`. What
    introduces a list is discarded as `preamble`, and a text of many lines without any mark as `unmarked`.

    `truncated` says that the completion was cut: all its items are discarded as `truncated`, only the last one with `keep_complete`.
    """
    found = Items(tuple(collapse(piece) for piece in _NUMBER.split(text))) if first_number is None else split_list(text, first_number)
    items = list(found.texts)
    if capitalize:
        items = [item.capitalize() for item in items]
    first_cut = len(items) if not truncated else len(items) - 1 if keep_complete else 0
    discards = ["truncated" if place >= first_cut else "" for place in range(len(items))]
    if found.preamble or found.unmarked:
        discards[0] = "preamble" if found.preamble else "unmarked"
    return [ParsedCandidate(item, discard) for item, discard in zip(items, discards, strict=True)]


def parse_triples(text: str, *, first_number: int, truncated: bool) -> list[ParsedCandidate]:
    """Split Alpaca's continuation into (instruction, input, output) triples, in order.

    The prompt ends with `<first_number>. Instruction:`. Items stand between `###`; one counts only if the number in front of each of its
    three fields is the expected one, and is discarded as `malformed_item` otherwise; malformed items are counted on. Of a `truncated`
    completion the last item goes. `<noinput>`, in any case, is an empty input. As in the released variant the fields' order is not
    checked and white space inside them stays.
    """
    items = f"{first_number}. Instruction:{text}".split("###")
    last = len(items) - 1
    return [_triple(item, first_number + place, cut=truncated and place == last) for place, item in enumerate(items)]


def _triple(item: str, number: int, *, cut: bool) -> ParsedCandidate:
    # Asking first spares compiling a pattern for each of many items that do not have their number at all.
    parts = re.split(rf"{number}\.\s++(Instruction|Input|Output):", item) if f"{number}." in item else [item]
    instruction = parts[2].strip() if len(parts) > 2 else item.strip()
    if cut or len(parts) != _FIELDS:
        return ParsedCandidate(instruction, "truncated" if cut else "malformed_item")
    given = parts[4].strip()
    return ParsedCandidate(instruction, "", "" if given.lower() == "<noinput>" else given, parts[6].strip())
