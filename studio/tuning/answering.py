"""Asking a contestant every item that it has not answered, and keeping each answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from studio.engine.api import CancelToken, Engine, Finished, FinishReason, Request, SamplingParams
from studio.errors import Interrupted, ModelError
from studio.pool.pool import Pool
from studio.pool.studies.evaluations import Answer, EvaluationItem
from studio.tuning.prompt_format import PromptFormat

BATCH = 32
"""Items that go to the engine together. What is computed together may shape an answer's last bits, so batches are the same ones always: one
that was interrupted is asked again as a whole, and only what is missing of it is kept."""

Progress = Callable[[int, int], None]
"""Told how many items are answered, of how many."""


def answer_items(
    pool: Pool,
    engine: Engine,
    contestant_id: int,
    style: PromptFormat,
    items: Sequence[EvaluationItem],
    max_tokens: int,
    cancel: CancelToken,
    progress: Progress,
) -> int:
    """Ask a contestant what it has not answered, greedily, and return the number of answers that are new.

    Raises Interrupted after `cancel`, ModelError when the engine fails; what was answered before is kept.
    """
    known = set(pool.reader.contestant_answers(contestant_id))
    new = 0
    progress(len(known), len(items))
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        if all(item.position in known for item in batch):
            continue
        requests = [request_for(style, item, max_tokens) for item in batch]
        for event in engine.stream(requests, cancel):
            # After a restart of the engine all of a batch comes again: an answer that was kept is the same.
            if not isinstance(event, Finished) or event.completion.finish_reason is FinishReason.CANCELLED:
                continue
            position = batch[event.index].position
            if position not in known:
                request = requests[event.index]
                prompt = request.opening + request.suffix + request.closing
                pool.evaluations.add(contestant_id, [Answer(position, prompt, event.completion)])
                known.add(position)
                new += 1
                progress(len(known), len(items))
        if cancel.cancelled and len(known) < len(items):
            raise Interrupted(f"stopped; {new} answers of this contestant are new and kept", "the same command goes on where it was")
        if any(item.position not in known for item in batch):
            raise ModelError("the engine left items unanswered", "try again: what was answered is kept")
    return new


def request_for(style: PromptFormat, item: EvaluationItem, max_tokens: int) -> Request:
    """Return the request that puts an item to a model: zero-shot and greedy, without stop strings, as the paper's evaluation."""
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    return Request("", style.prompt(item.instruction, item.input), params, 0, style.opening, style.closing)
