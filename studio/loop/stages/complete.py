"""Handing a stage's requests to the engine and storing what came back: shared by the three stages that use the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.engine.api import Completion, Finished, FinishReason, Request, Restarted, Retried, TextPiece
from studio.errors import ModelError
from studio.loop.events import EngineRestarted, Event, RequestFinished, RequestRetried, RequestsSent, TextStreamed
from studio.loop.stages.context import StageCancelled, StageContext
from studio.pool.records import RoundRecord, StoredRequest
from studio.records import Stage


def complete(context: StageContext, current: RoundRecord, stage: Stage, next_stage: Stage | None = None) -> Iterator[Event]:
    """Complete the requests planned for `stage`, all in one batch, and store the completions in one transaction.

    Those answered already are not asked again: an earlier session got that far; nor those about tasks that a person has retired since.
    What had come when the user cancelled is kept, apart from the completions.
    Raises StageCancelled when the user cancelled first, and ModelError when the engine failed or refused every request.
    """
    planned = _open_requests(context, current, stage)
    if not planned and next_stage is None:
        return
    yield RequestsSent(stage, len(planned))
    completions: list[Completion | None] = [None] * len(planned)
    requests = [Request(each.prefix, each.suffix, each.params, each.seed) for each in planned]
    for event in context.engine.stream(requests, context.cancel) if requests else ():
        match event:
            case TextPiece(index, text):
                yield TextStreamed(stage, planned[index].ordinal, text)
            case Finished(index, completion):
                completions[index] = completion
                yield RequestFinished(stage, planned[index].ordinal, completion)
            case Restarted(attempt, cause):
                completions = [None] * len(planned)
                yield EngineRestarted(stage, attempt, cause)
            case Retried(index, attempt, cause):
                yield RequestRetried(stage, planned[index].ordinal, attempt, cause)
    answers = _all_of(completions, planned, context)
    context.pool.store_answers(current.id, [(each.id, answer) for each, answer in zip(planned, answers, strict=True)], next_stage)


def _open_requests(context: StageContext, current: RoundRecord, stage: Stage) -> list[StoredRequest]:
    reader = context.pool.reader
    answered = {each.request_id for each in reader.completions(current.id, stage)}
    drafts = {draft.task.id for draft in reader.drafts(current.id)}
    return [
        each for each in reader.requests(current.id, stage) if each.id not in answered and (each.task_id is None or each.task_id in drafts)
    ]


def _all_of(completions: Sequence[Completion | None], planned: Sequence[StoredRequest], context: StageContext) -> list[Completion]:
    finished = [each for each in completions if each is not None]
    if context.cancel.cancelled and (len(finished) < len(planned) or any(c.finish_reason is FinishReason.CANCELLED for c in finished)):
        come = [(request.id, each) for request, each in zip(planned, completions, strict=True) if each is not None and each.text]
        if come:
            context.pool.keep_cancelled(come)
        raise StageCancelled
    if len(finished) < len(planned):
        raise ModelError(f"the engine answered {len(finished)} of {len(planned)} requests", "run the same command again to go on")
    if finished and all(each.finish_reason is FinishReason.REFUSED for each in finished):
        raise ModelError(f"no prompt fits the model's context: {finished[0].detail}", "raise --context, or shorten the prompts")
    return finished
