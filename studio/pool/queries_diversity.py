"""Reading the instructions whose diversity is measured."""

from __future__ import annotations

from collections.abc import Iterator

from studio.pool.faults import explained
from studio.pool.reading import Reader
from studio.records import Origin

_ROWS_AT_A_TIME = 10_000


class DiversityQueries(Reader):
    """What `studio diversity` asks."""

    def count_active(self, origin: Origin | None) -> int:
        """Return how many active tasks there are of `origin`, None being all."""
        condition, values = _where(origin)
        return int(self._database.rows(f"SELECT count(*) FROM tasks WHERE {condition}", values)[0][0])

    def active_instructions(self, origin: Origin | None) -> Iterator[tuple[int, str]]:
        """Yield id and instruction of each active task of `origin`, None being all, by ascending id and in constant memory."""
        condition, values = _where(origin)
        with explained(self._database.path):
            cursor = self._database.connection.execute(f"SELECT id, instruction FROM tasks WHERE {condition} ORDER BY id", values)
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from rows


def _where(origin: Origin | None) -> tuple[str, tuple[str, ...]]:
    if origin is None:
        return "state = 'active'", ()
    return "state = 'active' AND origin = ?", (origin.value,)
