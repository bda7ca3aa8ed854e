"""Whether there is a terminal to draw on."""

from __future__ import annotations

import sys


def is_terminal() -> bool:
    """Return whether keys come from a terminal and everything printed goes to one."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
