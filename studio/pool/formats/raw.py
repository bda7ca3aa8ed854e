"""Everything the pool knows of a task, one line a task. No times and no durations: equal runs give equal bytes."""

from __future__ import annotations

from collections.abc import Iterator

from studio.pool.formats.api import Format, Record
from studio.pool.records import ExportTask


def _records(task: ExportTask) -> Iterator[tuple[str, Record]]:
    yield (
        "",
        {
            "id": task.id,
            "origin": str(task.origin),
            "key": task.key,
            "name": task.name,
            "instruction": task.instruction,
            "is_classification": task.is_classification,
            "instances": [{"input": instance.input, "output": instance.output} for instance in task.instances],
            "round": task.round,
            "parents": list(task.parents),
            "score": task.score,
            "seed_score": task.seed_score,
            "nearest": task.nearest,
            "neighbours": [{"id": neighbour.task_id, "score": neighbour.score} for neighbour in task.neighbours],
            "request": task.request,
            "model": task.model,
            "decided_by": str(task.decided_by) if task.decided_by else None,
        },
    )


FORMAT: Format = Format("raw", "everything, with parents, scores, model and request", _records)
