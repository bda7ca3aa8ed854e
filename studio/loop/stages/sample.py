"""Stage 1: draw the in-context tasks of each prompt."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace

from studio.engine.api import RepeatRule
from studio.loop.events import Event
from studio.loop.prompts import numbered, numbered_triples
from studio.loop.sampling import generator, in_context_tasks
from studio.loop.settings import Method
from studio.loop.stages.context import StageContext
from studio.pool.records import PlannedRequest, RoundRecord
from studio.records import Origin, Stage, Task, TaskState


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Plan the round's instruction requests, each from its own draw of in-context tasks."""
    context.pool.plan_requests(current.id, Stage.INSTRUCTIONS, plan(context, current), Stage.INSTRUCTIONS)
    yield from ()


def plan(context: StageContext, current: RoundRecord, action: int = 0) -> list[PlannedRequest]:
    """Draw the in-context tasks of every request of the round; `action` is the id of a person's action that has them drawn anew."""
    drawn = draw(context, current, range(context.method.requests_per_round), action)
    return [request_for(context, current, ordinal, parents) for ordinal, parents in enumerate(drawn)]


def draw(context: StageContext, current: RoundRecord, ordinals: Iterable[int], action: int = 0) -> list[tuple[int, ...]]:
    """Draw the in-context tasks of the requests with these ordinals."""
    method = context.method
    seeds, others = to_draw_from(context)
    generators = (generator(context.seed, current.number, Stage.SAMPLE, ordinal, action) for ordinal in ordinals)
    return [in_context_tasks(rng, seeds, others, method.in_context_tasks, method.generated_in_context) for rng in generators]


def to_draw_from(context: StageContext) -> tuple[array[int], array[int]]:
    """Return the ids of the seeds, and of the generated and imported tasks, that a prompt may hold.

    With `classification_only` these are the tasks known to be classification. Tasks of which it is unknown, as imports often are, are
    drawn as well where those do not fill a prompt.
    """
    method, reader = context.method, context.pool.reader

    def drawn_from(*, only: bool, unknown: bool = False) -> tuple[array[int], array[int]]:
        seeds, others, imported = (
            reader.task_ids(
                origin=origin,
                classification_only=only,
                classification_unknown=unknown,
                with_instances=method.variant == "alpaca",
            )
            for origin in (Origin.SEED, Origin.GENERATED, Origin.IMPORTED)
        )
        return seeds, others + imported

    seeds, others = drawn_from(only=method.classification_only)
    if method.classification_only and len(seeds) + len(others) < method.in_context_tasks:
        more_seeds, more_others = drawn_from(only=False, unknown=True)
        return seeds + more_seeds, others + more_others
    return seeds, others


def may_stand(context: StageContext, task: Task) -> bool:
    """Return whether a prompt may hold `task` now."""
    method = context.method
    if task.state is not TaskState.ACTIVE or task.held_out or (method.classification_only and task.is_classification is False):
        return False
    return bool(task.instances) or method.variant != "alpaca"


def request_for(context: StageContext, current: RoundRecord, ordinal: int, parents: tuple[int, ...]) -> PlannedRequest:
    """The instruction request with these in-context tasks."""
    method = context.method
    tasks = context.pool.reader.tasks(parents)
    if method.variant == "alpaca":
        template, filling = "triples", numbered_triples(tasks)
    else:
        template = "instructions_classification" if method.classification_only else "instructions"
        filling = numbered([task.instruction for task in tasks])
    place = (current, Stage.INSTRUCTIONS, ordinal)
    planned = context.planned(place, template, filling, method.sampling.instructions)
    return replace(planned, params=replace(planned.params, stop_on_repeat=_repeat_rule(method)), parents=parents)


def _repeat_rule(method: Method) -> RepeatRule:
    """Whole tasks hold outputs, which may repeat lines for good reason."""
    if not method.early_stop:
        return ""
    return "text" if method.variant == "alpaca" else "items"
