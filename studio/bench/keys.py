"""How long a key takes to be seen while the model writes: from the key to the bytes that paint what it does."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from studio.bench.terminal import Terminal, in_terminal
from studio.errors import StudioError

_ANSWER_S = 10.0
"""A key that is not answered for so long does something else by now."""
_PAUSE_S = (0.15, 0.35)
"""Between two keys, so that they fall on any moment between two frames."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two keys pressed in turn once `begins` is on the screen, and what only the screen after each of them says."""

    name: str
    begins: bytes
    keys: tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


PAIRS = (
    Pair("another prompt, while instructions are written", b" \xc2\xb7 writing", ((b"]", b"prompt 2 of"), (b"[", b"prompt 1 of"))),
    Pair(
        "another candidate, while instances are written",
        b"\xe2\x96\xb6 instances",
        ((b"\x1b[B", b"candidate c2"), (b"\x1b[A", b"candidate c1")),
    ),
    Pair("another screen, while instances are written", b"instances", ((b"2", b"instruction"), (b"1", b"candidate c1"))),
)
"""In the order in which a round comes by them."""


def measure_keys(command: Sequence[str], environment: Mapping[str, str], presses: int) -> dict[str, Any]:
    """Start a run in a terminal of its own and press each pair's keys `presses` times; return what its times were, in milliseconds.

    Raises StudioError when a key is not answered.
    """
    rng = random.Random(0)
    with in_terminal(command, environment) as terminal:
        terminal.until(b"next: sample")
        terminal.press(b"a")
        found = {pair.name: press_pair(terminal, pair, presses, rng) for pair in PAIRS}
        terminal.leave()
    return {name: spread(times) for name, times in found.items()}


def spread(times: Sequence[float]) -> dict[str, Any]:
    """Median, 95th percentile and worst of some times, and all of them."""
    return {"median": median(times), "p95": sorted(times)[math.ceil(0.95 * len(times)) - 1], "worst": max(times), "all": list(times)}


def press_pair(terminal: Terminal, pair: Pair, presses: int, rng: random.Random | None = None) -> list[float]:
    """Press the two keys of a pair in turn, `presses` times in all, and return the milliseconds until each was seen."""
    rng = rng or random.Random(0)
    terminal.until(pair.begins)
    times = []
    for number in range(presses):
        key, awaited = pair.keys[number % 2]
        terminal.watch(rng.uniform(*_PAUSE_S))
        began = terminal.press(key)
        try:
            times.append(round(1000 * (terminal.until(awaited, _ANSWER_S) - began), 2))
        except StudioError:
            # A fast model has gone on to the next stage, where the key does something else.
            if not times:
                raise
            break
    return times
