"""Whether there is a terminal to draw on."""

from __future__ import annotations

import os
import sys


def is_terminal() -> bool:
    """Return whether keys come from a terminal and everything printed goes to one, or a server shows the studio in a browser.

    `textual serve` talks to the studio through pipes and names its driver in the environment.
    """
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
