"""Planning the requests about the drafts of a round, one for each."""

from __future__ import annotations

from collections.abc import Callable

from studio.loop.stages.context import StageContext
from studio.pool.records import DraftTask, PlannedRequest, RoundRecord
from studio.records import Stage


def plan_for_drafts(context: StageContext, current: RoundRecord, stage: Stage, planned: Callable[[int, DraftTask], PlannedRequest]) -> None:
    """Store a request of `stage` for each draft of the round; `planned` makes it from its ordinal and the draft.

    Where an earlier attempt at the stage has stored them already, a person may have added drafts since, or changed their text or the
    parameters: requests are added and, where they were not answered yet, brought up to date.
    """
    reader = context.pool.reader
    drafts = reader.drafts(current.id)
    stored = reader.requests(current.id, stage)
    if not stored:
        requests = [planned(ordinal, draft) for ordinal, draft in enumerate(drafts)]
        context.pool.plan_requests(current.id, stage, requests, None)
        return
    answered = {each.request_id for each in reader.completions(current.id, stage)}
    known = {request.task_id: request for request in stored}
    changed: list[tuple[int, PlannedRequest]] = []
    more: list[PlannedRequest] = []
    for draft in drafts:
        request = known.get(draft.task.id)
        if request is None:
            more.append(planned(len(stored) + len(more), draft))
        elif request.id not in answered:
            fresh = planned(request.ordinal, draft)
            if (fresh.prefix, fresh.suffix, fresh.params) != (request.prefix, request.suffix, request.params):
                changed.append((request.id, fresh))
    if changed or more:
        context.pool.replan_requests(current.id, stage, changed, more)
