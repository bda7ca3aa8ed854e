"""Python's garbage collector, kept from standing between a key and its paint."""

from __future__ import annotations

import gc

_YOUNG = 10_000
"""New objects after which the collector looks through them, instead of 700: a frame makes thousands, and nearly all are gone after it."""
_DEFAULT = gc.get_threshold()


def spare_collector() -> None:
    """Have it leave alone all that is there now and look through new objects less often, until `release_collector`.

    A full collection walks over every part of every screen: 70 ms and more, at any moment, ten times what the rest of the objects takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *_DEFAULT[1:])


def release_collector() -> None:
    """Let it work as it does by itself."""
    gc.unfreeze()
    gc.set_threshold(*_DEFAULT)
