"""The screen's own view into the pool: what explains one candidate, on a read-only connection beside the runner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import PoolError
from studio.pool.queries import Queries
from studio.pool.records import DecisionRecord, InstanceRecord, RequestRecord
from studio.records import Neighbour, Task
from studio.tui.live import LiveRound
from studio.tui.rows import Row


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the pool knows of a candidate beyond its row. `near` holds the nearest task and the neighbours, by id."""

    neighbours: Sequence[Neighbour]
    near: dict[int, Task]
    parents: Sequence[Task]
    decisions: Sequence[DecisionRecord]
    task: Task | None
    instances: Sequence[InstanceRecord]
    requests: Sequence[RequestRecord]


class Witness:
    """Opens the pool when it is first asked, and again after it could not be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: Queries | None = None

    def evidence(self, row: Row, live: LiveRound) -> Evidence | None:
        """What the pool knows of the candidate of `row`; None for a pending one. Raises PoolError as reading does."""
        found = row.candidate
        if found is None:
            return None
        try:
            reader = self._open()
            neighbours = reader.neighbours(found.id)
            if not neighbours and (novelty := live.novelty_of(row.position)) is not None:
                neighbours = novelty.neighbours
            ids = dict.fromkeys([each.task_id for each in neighbours] + ([found.nearest] if found.nearest is not None else []))
            view = live.view
            parents = next((each.parents for each in view.prompts if each.ordinal == row.request_ordinal), ()) if view else ()
            return Evidence(
                neighbours=neighbours,
                near={task.id: task for task in reader.tasks(list(ids))},
                parents=parents,
                decisions=reader.decisions(found.id),
                task=reader.task(found.task_id) if found.task_id is not None else None,
                instances=reader.instances(found.task_id) if found.task_id is not None else (),
                requests=reader.task_requests(found.task_id) if found.task_id is not None else (),
            )
        except PoolError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next question opens it again."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> Queries:
        if self._reader is None:
            self._reader = Queries.open(self._path)
        return self._reader
