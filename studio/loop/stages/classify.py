"""Stage 4: ask of each new task whether it is a classification task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from studio.engine.api import Completion
from studio.loop.classification import CHOICES, parse_classification
from studio.loop.events import Event, TaskClassified
from studio.loop.stages.complete import complete
from studio.loop.stages.context import StageContext
from studio.loop.stages.planning import plan_for_drafts
from studio.loop.thoughts import answer_of
from studio.pool.records import PlannedRequest, RoundRecord
from studio.records import Stage, Task


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Classify the round's drafts. Alpaca's variant has no such stage: nothing is asked and no task counts as classification."""
    reader = context.pool.reader
    unanswered = {draft.task.id for draft in reader.drafts(current.id) if draft.task.is_classification is None}
    if context.method.variant == "alpaca":
        answers = [(task_id, False) for task_id in sorted(unanswered)]
    else:
        plan_for_drafts(context, current, Stage.CLASSIFY, lambda ordinal, draft: request_for(context, current, ordinal, draft.task))
        yield from complete(context, current, Stage.CLASSIFY)
        answers = [
            (stored.task_id, answered(context, stored.completion))
            for stored in reader.completions(current.id, Stage.CLASSIFY)
            if stored.task_id in unanswered
        ]
    for task_id, is_classification in answers:
        yield TaskClassified(task_id, is_classification)
    context.pool.record_classifications(current.id, answers, Stage.INSTANCES)


def answered(context: StageContext, completion: Completion) -> bool:
    """What a completion says: whether the task is a classification task."""
    answer = answer_of(completion, keep_thoughts=context.method.keep_thoughts)
    return parse_classification(answer.text, tolerant=context.method.tolerant)


def request_for(context: StageContext, current: RoundRecord, ordinal: int, task: Task) -> PlannedRequest:
    """The request that asks whether `task` is a classification task."""
    choices = CHOICES if context.method.classify_from_logits else ()
    place = (current, Stage.CLASSIFY, ordinal)
    planned = context.planned(place, "classification", task.instruction.strip(), context.method.sampling.classification)
    return replace(planned, params=replace(planned.params, choices=choices), task_id=task.id)
