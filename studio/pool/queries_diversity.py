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
        """Return how many active tasks there are of `origin`, None being all; those that are held out do not count."""
        # Counted in two indexes: none of them knows both who is active and who is held out.
        of_origin, values = ("", ()) if origin is None else (" AND origin = ?", (origin.value,))
        sql = "SELECT (SELECT count(*) FROM tasks WHERE {}) - (SELECT count(*) FROM tasks WHERE held_out AND {})"
        active = f"state = 'active'{of_origin}"
        return int(self._database.rows(sql.format(active, active), (*values, *values))[0][0])

    def active_instructions(self, origin: Origin | None) -> Iterator[tuple[int, str, int | None]]:
        """Yield id, instruction and round number of each active task of `origin`, None being all, by ascending id and in constant memory.

        Seeds and imports have no round.
        """
        condition, values = _where(origin)
        with explained(self._database.path):
            cursor = self._database.connection.execute(
                "SELECT tasks.id, instruction, CASE origin WHEN 'generated' THEN number END FROM tasks"
                f" LEFT JOIN rounds ON rounds.id = round_id WHERE {condition} ORDER BY tasks.id",
                values,
            )
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from rows


def _where(origin: Origin | None) -> tuple[str, tuple[str, ...]]:
    if origin is None:
        # The plus keeps SQLite from the index on states, with which it would sort.
        return "+tasks.state = 'active' AND NOT held_out", ()
    return "tasks.state = 'active' AND NOT held_out AND origin = ?", (origin.value,)
