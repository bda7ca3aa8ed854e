"""Stage 4: ask of each new task whether it is a classification task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from studio.loop.classification import parse_classification
from studio.loop.events import Event, TaskClassified
from studio.loop.prompts import one_line
from studio.loop.stages.complete import complete
from studio.loop.stages.context import StageContext
from studio.pool.records import RoundRecord
from studio.records import Stage


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Classify the round's drafts. Alpaca's variant has no such stage: nothing is asked and no task counts as classification."""
    reader = context.pool.reader
    if context.method.variant == "alpaca":
        answers = [(draft.task.id, False) for draft in reader.drafts(current.id)]
    else:
        if not reader.requests(current.id, Stage.CLASSIFY):
            _plan(context, current)
        yield from complete(context, current, Stage.CLASSIFY)
        answers = [
            (stored.task_id, parse_classification(stored.completion.text))
            for stored in reader.completions(current.id, Stage.CLASSIFY)
            if stored.task_id is not None
        ]
    for task_id, is_classification in answers:
        yield TaskClassified(task_id, is_classification)
    context.pool.record_classifications(current.id, answers, Stage.INSTANCES)


def _plan(context: StageContext, current: RoundRecord) -> None:
    requests = []
    for ordinal, draft in enumerate(context.pool.reader.drafts(current.id)):
        filling = one_line(draft.task.instruction)
        place = (current, Stage.CLASSIFY, ordinal)
        planned = context.planned(place, "classification", filling, context.method.sampling.classification)
        requests.append(replace(planned, task_id=draft.task.id))
    context.pool.plan_requests(current.id, Stage.CLASSIFY, requests, None)
