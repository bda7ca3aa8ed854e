"""Handing a stage's requests to the engine and storing what came back: shared by the three stages that use the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.engine.api import Completion, Finished, FinishReason, Request, Restarted, TextPiece
from studio.errors import ModelError
from studio.loop.events import EngineRestarted, Event, RequestFinished, RequestsSent, TextStreamed
from studio.loop.stages.context import StageCancelled, StageContext
from studio.pool.records import RoundRecord, StoredRequest
from studio.records import Stage


def complete(context: StageContext, current: RoundRecord, stage: Stage, next_stage: Stage | None = None) -> Iterator[Event]:
    """Complete the requests planned for `stage`, all in one batch, and store the completions in one transaction.

    Does nothing when they are stored already: an earlier session got that far.
    Raises StageCancelled when the user cancelled first, and ModelError when the engine failed or refused every request.
    """
    planned = context.pool.reader.requests(current.id, stage)
    if len(context.pool.reader.completions(current.id, stage)) == len(planned) and next_stage is None:
        return
    yield RequestsSent(stage, len(planned))
    completions: list[Completion | None] = [None] * len(planned)
    requests = [Request(each.prefix, each.suffix, each.params, each.seed) for each in planned]
    for event in context.engine.stream(requests, context.cancel) if requests else ():
        match event:
            case TextPiece(index, text):
                yield TextStreamed(stage, index, text)
            case Finished(index, completion):
                completions[index] = completion
                yield RequestFinished(stage, index, completion)
            case Restarted(attempt, cause):
                completions = [None] * len(planned)
                yield EngineRestarted(stage, attempt, cause)
    context.pool.store_completions(current.id, stage, _all_of(completions, planned, context), next_stage)


def _all_of(completions: Sequence[Completion | None], planned: Sequence[StoredRequest], context: StageContext) -> list[Completion]:
    finished = [each for each in completions if each is not None]
    if context.cancel.cancelled and (len(finished) < len(planned) or any(c.finish_reason is FinishReason.CANCELLED for c in finished)):
        raise StageCancelled
    if len(finished) < len(planned):
        raise ModelError(f"the engine answered {len(finished)} of {len(planned)} requests", "run the same command again to go on")
    if finished and all(each.finish_reason is FinishReason.REFUSED for each in finished):
        raise ModelError(f"no prompt fits the model's context: {finished[0].detail}", "raise --context, or shorten the prompts")
    return finished
