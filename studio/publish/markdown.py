"""Text put safely into Markdown and into the YAML header before it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from studio.text import display, display_line

_SPECIAL = re.compile(r"([!-+.:-@\[-`{-~])")
# Not printable to YAML 1.2 (section 5.1): noncharacters, and whatever `display_line` leaves of the like.
_UNPRINTABLE = re.compile("[\ufffe\uffff]")


def inline(text: str) -> str:
    """Return anybody's text as one line of Markdown that says just that: punctuation that could be markup within a line is escaped.

    CommonMark 0.31, section 2.4: any ASCII punctuation character may be backslash-escaped, and then is no markup. Points and colons are,
    too, since some readers make links of bare addresses.
    """
    return _SPECIAL.sub(r"\\\1", display_line(text))


def fenced(text: str, language: str = "") -> str:
    """Return text as a code block whose fence is longer than any run of backticks in it (CommonMark 0.31, section 4.5)."""
    shown = display(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def yaml_string(text: str) -> str:
    """Return anybody's text as a double-quoted YAML scalar on one line: JSON's strings are such (YAML 1.2, section 1.3).

    Other than in JSON, control characters are shown and not escaped, since a reader would put them back.
    """
    return json.dumps(_UNPRINTABLE.sub("\ufffd", display_line(text)), ensure_ascii=False)
