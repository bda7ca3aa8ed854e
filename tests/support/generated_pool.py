"""A small pool that a run has written: two seeds, an import, and generated tasks with everything the store keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.pool.candidates import DecidedCandidate
from studio.pool.instances import DecidedInstance
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest
from studio.records import Instance, ModelIdentity, Neighbour, Novelty, Origin, SeedTask, Stage, Verdict
from support.pools import store_completions

SEEDS = (
    SeedTask("seed_task_0", "greeting", "Greet a guest in one sentence.", (Instance("", "Welcome!"),), False),
    SeedTask("seed_task_1", "sentiment", "Is this review good or bad?", (Instance("I loved it.", "good"),), True),
)
IMPORTED = SeedTask("", "", "Name a colour.", (Instance("", "Blue."),), False)

Generated = tuple[str, bool, tuple[Instance, ...]]
"""Instruction, classification, instances."""


def build_pool(path: Path, generated: Sequence[Generated], *, with_import: bool = True) -> Path:
    """Create a pool at `path` whose `generated` tasks went through one whole round, and return the path."""
    with Pool.create(path, SEEDS) as pool:
        if with_import:
            pool.tasks.add([IMPORTED], Origin.IMPORTED)
        if generated:
            _round(pool, generated)
    return path


def _round(pool: Pool, generated: Sequence[Generated]) -> None:
    params = SamplingParams(max_tokens=64)
    run = pool.runs.start("{}", "42", "0.0", ModelIdentity("model", "ab" * 32))
    number = pool.rounds.begin(run).id
    pool.requests.plan(number, Stage.INSTRUCTIONS, [PlannedRequest("Tasks:\n", "1. ...\n2.", params, 7, (2, 1))], Stage.INSTRUCTIONS)
    store_completions(pool, number, Stage.INSTRUCTIONS, [_completion("\n".join(task[0] for task in generated))], Stage.FILTER)
    request = pool.requests.planned(number, Stage.INSTRUCTIONS)[0].id
    first = pool.tasks.next_id()
    novelty = Novelty((Neighbour(2, 0.4), Neighbour(1, 0.25)), 0.3, 0.4)
    decided = [
        DecidedCandidate(request, place, instruction, Verdict.ACCEPTED, "novel", novelty, task_id=first + place)
        for place, (instruction, _, _) in enumerate(generated)
    ]
    pool.candidates.record(number, decided, Stage.CLASSIFY)
    pool.tasks.classify(number, [(first + place, task[1]) for place, task in enumerate(generated)], Stage.INSTANCES)
    planned = [PlannedRequest("Examples:\n", f"Task: {task[0]}\n", params, 9, (), first + place) for place, task in enumerate(generated)]
    pool.requests.plan(number, Stage.INSTANCES, planned, Stage.INSTANCES)
    store_completions(pool, number, Stage.INSTANCES, [_completion(f"raw {place}") for place in range(len(generated))], Stage.INSTANCES)
    requests = pool.requests.planned(number, Stage.INSTANCES)
    instances = [
        DecidedInstance(first + place, requests[place].id, instance.input, instance.output, Verdict.ACCEPTED, "valid")
        for place, (_, _, given) in enumerate(generated)
        for instance in given
    ]
    fallen = DecidedInstance(first, requests[0].id, "same", "same", Verdict.REJECTED, "same_as_input")
    pool.instances.record(number, [*instances, fallen], Stage.COMMIT)
    pool.rounds.commit(number)


def _completion(text: str) -> Completion:
    return Completion(text, FinishReason.STOP, 10, 5, seconds=1.5)
