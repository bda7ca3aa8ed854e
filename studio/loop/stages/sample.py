"""Stage 1: draw the in-context tasks of each prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from studio.loop.events import Event
from studio.loop.prompts import numbered, numbered_triples
from studio.loop.sampling import generator, in_context_tasks
from studio.loop.stages.context import StageContext
from studio.pool.records import PlannedRequest, RoundRecord
from studio.records import Origin, Stage


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Plan the round's instruction requests, each from its own draw of in-context tasks."""
    method, reader = context.method, context.pool.reader
    only = method.classification_only
    with_instances = method.variant == "alpaca"
    seeds = reader.task_ids(origin=Origin.SEED, classification_only=only, with_instances=with_instances)
    others = reader.task_ids(origin=Origin.GENERATED, classification_only=only, with_instances=with_instances)
    others += reader.task_ids(origin=Origin.IMPORTED, classification_only=only, with_instances=with_instances)
    requests = []
    for ordinal in range(method.requests_per_round):
        rng = generator(context.seed, current.number, Stage.SAMPLE, ordinal)
        parents = in_context_tasks(rng, seeds, others, method.in_context_tasks, method.generated_in_context)
        requests.append(_request(context, current, ordinal, parents))
    context.pool.plan_requests(current.id, Stage.INSTRUCTIONS, requests, Stage.INSTRUCTIONS)
    yield from ()


def _request(context: StageContext, current: RoundRecord, ordinal: int, parents: tuple[int, ...]) -> PlannedRequest:
    method = context.method
    tasks = context.pool.reader.tasks(parents)
    if method.variant == "alpaca":
        template, filling = "triples", numbered_triples(tasks)
    else:
        template = "instructions_classification" if method.classification_only else "instructions"
        filling = numbered([task.instruction for task in tasks])
    place = (current, Stage.INSTRUCTIONS, ordinal)
    return replace(context.planned(place, template, filling, method.sampling.instructions), parents=parents)
