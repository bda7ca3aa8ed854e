"""Handing a stage's requests to the engine and storing what came back: shared by the three stages that use the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from studio.engine.api import Completion, Finished, FinishReason, Noted, Request, Restarted, Retried, TextPiece
from studio.errors import ModelError
from studio.loop.events import EngineRestarted, Event, RequestFinished, RequestRetried, RequestsSent, TextStreamed
from studio.loop.stages.context import StageCancelled, StageContext
from studio.pool.records import RoundRecord, StoredRequest
from studio.records import Stage

_NO_ANSWER = (FinishReason.CANCELLED, FinishReason.REFUSED)


def complete(context: StageContext, current: RoundRecord, stage: Stage, next_stage: Stage | None = None) -> Iterator[Event]:
    """Complete the requests planned for `stage`, all in one batch, and store the completions.

    Those of a model on this machine are stored in one transaction; a server's each as it finishes, because it was paid for. Those answered
    already are not asked again: an earlier session got that far; nor those about tasks that a person has retired since. What had come when
    the user cancelled is kept, apart from the completions.
    Raises StageCancelled when the user cancelled first, and ModelError when the engine failed or refused every request.
    """
    planned = _open_requests(context, current, stage)
    if not planned and next_stage is None:
        return
    yield RequestsSent(stage, len(planned))
    paid_for = context.engine.info.is_server
    open_answers: dict[int, Completion] = {}
    stored: set[int] = set()
    requests = [Request(each.prefix, each.suffix, each.params, each.seed) for each in planned]
    for event in context.engine.stream(requests, context.cancel) if requests else ():
        match event:
            case TextPiece(index, text):
                yield TextStreamed(stage, planned[index].ordinal, text)
            case Finished(index, completion):
                if paid_for and completion.finish_reason not in _NO_ANSWER:
                    context.pool.store_answers(current.id, [(planned[index].id, completion)], None)
                    stored.add(index)
                else:
                    open_answers[index] = completion
                yield RequestFinished(stage, planned[index].ordinal, completion)
            case Restarted(attempt, cause):
                open_answers.clear()
                yield EngineRestarted(stage, attempt, cause)
            case Retried(index, attempt, cause, wait):
                yield RequestRetried(stage, planned[index].ordinal, attempt, cause, wait)
            case Noted(text):
                yield from context.note(text)
    answers = [(planned[index].id, completion) for index, completion in sorted(open_answers.items())]
    if context.cancel.cancelled and (len(answers) + len(stored) < len(planned) or _any_cancelled(open_answers)):
        if come := [(request_id, completion) for request_id, completion in answers if completion.text]:
            context.pool.keep_cancelled(come)
        raise StageCancelled
    if len(answers) + len(stored) < len(planned):
        raise ModelError(f"the engine answered {len(answers) + len(stored)} of {len(planned)} requests", "run the same command to go on")
    if answers and not stored and all(each.finish_reason is FinishReason.REFUSED for _, each in answers):
        _require_answers(context, current, stage, answers[0][1])
    context.pool.store_answers(current.id, answers, next_stage)


def _any_cancelled(completions: Mapping[int, Completion]) -> bool:
    return any(each.finish_reason is FinishReason.CANCELLED for each in completions.values())


def _require_answers(context: StageContext, current: RoundRecord, stage: Stage, refused: Completion) -> None:
    """Raise ModelError unless an earlier session got some answer for the stage: it is not stored, so that it can be asked once more."""
    if all(each.completion.finish_reason is FinishReason.REFUSED for each in context.pool.reader.completions(current.id, stage)):
        raise context.engine.info.no_room(refused.detail)


def _open_requests(context: StageContext, current: RoundRecord, stage: Stage) -> list[StoredRequest]:
    reader = context.pool.reader
    answered = {each.request_id for each in reader.completions(current.id, stage)}
    drafts = {draft.task.id for draft in reader.drafts(current.id)}
    return [
        each for each in reader.requests(current.id, stage) if each.id not in answered and (each.task_id is None or each.task_id in drafts)
    ]
