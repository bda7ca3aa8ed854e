"""Following a pool that somebody else writes, and giving up a question that nobody waits for any more."""

from __future__ import annotations

from studio.pool.reading import Reader


class WatchQueries(Reader):
    """What a screen needs that stays open beside a session."""

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed to the pool; it says nothing else."""
        row = self._database.row("PRAGMA data_version")
        return int(row[0]) if row else 0

    def interrupt(self) -> None:
        """Make the question under way on this connection fail with PoolError. Any thread may call this, at any time."""
        self._database.connection.interrupt()
