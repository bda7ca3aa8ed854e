"""What all parts of the read side share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.pool.database import Database

CHUNK = 500
"""How many ids one query asks for; SQLite takes 999 parameters at least."""


class Reader:
    """Reads through one connection, its own or the writer's."""

    def __init__(self, database: Database) -> None:
        self._database = database


def chunks(ids: Sequence[int]) -> Iterator[tuple[Sequence[int], str]]:
    """Yield `ids` in pieces, each with as many SQL placeholders."""
    for start in range(0, len(ids), CHUNK):
        piece = ids[start : start + CHUNK]
        yield piece, ", ".join("?" * len(piece))
