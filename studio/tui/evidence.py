"""The screen's own view into the pool: what explains one candidate, asked on the reader's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studio.pool.pool import Queries
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


def question_about(row: Row, live: LiveRound) -> Callable[[Queries], Evidence] | None:
    """Return what to ask the pool about the candidate of `row`; None for a pending one. `live` is looked at now, not by the question."""
    found = row.candidate
    if found is None:
        return None
    novelty = live.novelty_of(row.position)
    view = live.view
    parents = next((each.parents for each in view.prompts if each.ordinal == row.request_ordinal), ()) if view else ()

    def ask(reader: Queries) -> Evidence:
        neighbours = reader.neighbours(found.id) or (novelty.neighbours if novelty is not None else ())
        ids = dict.fromkeys([each.task_id for each in neighbours] + ([found.nearest] if found.nearest is not None else []))
        return Evidence(
            neighbours=neighbours,
            near={task.id: task for task in reader.tasks(list(ids))},
            parents=parents,
            decisions=reader.decisions(found.id),
            task=reader.task(found.task_id) if found.task_id is not None else None,
            instances=reader.instances(found.task_id) if found.task_id is not None else (),
            requests=reader.task_requests(found.task_id) if found.task_id is not None else (),
        )

    return ask
