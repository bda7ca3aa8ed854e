"""Completions fall apart into instances. Nothing a model writes makes these functions raise."""

from __future__ import annotations

import re
from collections.abc import Sequence

from studio.loop.instance_rules import DecidedPair, decide_instances
from studio.records import Instance

__all__ = ["DecidedPair", "decide_instances", "parse_input_first", "parse_output_first"]

# Possessive quantifiers match what the released patterns match, but never give back: no text makes them slow.
_EXAMPLE = re.compile(r"Example\s?+\d*+\.?+")
_OUTPUT = re.compile(r"Output\s*+\d*+\s*+:")
_INPUT = re.compile(r"Input\s*+\d*+\s*+:")

_EXAMPLE_LINE = re.compile(r"^[ \t]*+Example[ \t]?+\d*+[ \t]*+[.:]?+[ \t]*+$", re.MULTILINE)
_OUTPUT_LINE = re.compile(r"^[ \t]*+Output[ \t]*+\d*+[ \t]*+:", re.MULTILINE)
_INPUT_LINE = re.compile(r"^[ \t]*+Input[ \t]*+\d*+[ \t]*+:", re.MULTILINE)

_CLASS_LABEL = "Class label:"

_Markers = tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]
_ANYWHERE: _Markers = (_EXAMPLE, _OUTPUT, _INPUT)
_AT_LINE_START: _Markers = (_EXAMPLE_LINE, _OUTPUT_LINE, _INPUT_LINE)


def parse_input_first(text: str, *, line_markers: bool = False) -> list[Instance]:
    """Find the (input, output) pairs of an input-first completion, in order; none when it has no marker.

    The released rule: the text is split on `Example <n>`; without such a marker, one with `Output:` is one pair. `line_markers`
    accepts markers only where they begin a line (`Example <n>` alone on its line), so that an "Example" or "Input:" within a
    sentence parts nothing.
    """
    markers = _AT_LINE_START if line_markers else _ANYWHERE
    example, output, _ = markers
    text = text.strip()
    if example.search(text):
        return [_pair(piece.strip(), markers) for piece in example.split(text) if piece.strip()]
    return [_pair(text, markers)] if output.search(text) else []


def _pair(text: str, markers: _Markers) -> Instance:
    """Split one pair at its output marker; with none, the input is empty and all of the text is output."""
    _, output_marker, input_marker = markers
    pieces: Sequence[str] = output_marker.split(text)
    given, output = (pieces[0].strip(), pieces[1].strip()) if len(pieces) > 1 else ("", text)
    # A further input belongs to a pair that lost its `Example` line.
    output = input_marker.split(output)[0].strip()
    lead = _INPUT.match(given)
    return Instance((given[lead.end() :] if lead else given).strip(), output)


def parse_output_first(text: str) -> list[Instance]:
    """Find the instances of an output-first completion, in order; none when it has no `Class label:`.

    What stands before the first label is dropped. The line of a label is the output, the lines up to the next label are the input,
    which may be empty.
    """
    instances = []
    for piece in text.split(_CLASS_LABEL)[1:]:
        label, _, given = piece.strip().partition("\n")
        instances.append(Instance(given.strip(), label.strip()))
    return instances
