"""A pool that knows of better and worse answers, one task for each kind of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.pool.instances import DecidedInstance, DrawnAnswer
from studio.pool.ledger import HandRequest, MoreInstances, Note
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest
from studio.pool.reviews import ReviewItem, ReviewPlan
from studio.records import Instance, Stage, Verdict
from support.generated_pool import build_pool
from support.reviews import rated

EDITED, RATED, CHECKED, DRAWN = "Name the colour.", "Greet a guest.", "Say why it rains.", "Tell of the sea."
TASKS = (
    (EDITED, False, (Instance("of the sky", "Blu"),)),
    (RATED, False, (Instance("", "Hello there, come in."), Instance("", "What?"))),
    (CHECKED, False, (Instance("in winter", "Clouds grow heavy and fall as drops."),)),
    (DRAWN, False, ()),
)
ROUND = 1


def pool_with_pairs(path: Path) -> Path:
    """Make a pool with a pair for each kind of evidence that a run and people can give, and return the path."""
    build_pool(path, TASKS, with_import=False)
    with Pool.open(path) as pool:
        edit(pool, EDITED, "of the sky", "Blue, on most days.")
        rate(pool, RATED, {0: "yyy", 1: "yyn"}, "anna")
        rate(pool, RATED, {0: "yyy"}, "bert")
        add(pool, CHECKED, decided("in winter", "Clouds grow heavy and", "truncated"))
        draw(pool, DRAWN, "", [("The sea is wide.", 0.6, ""), ("The sea.", 0.4, ""), ("I cannot say.", 0.1, "refuses")])
    return path


def task_of(pool: Pool, instruction: str) -> int:
    """The id of the active task with this instruction."""
    return next(task.id for task in pool.tasks.many(pool.tasks.ids()) if task.instruction == instruction)


def edit(pool: Pool, instruction: str, given: str, output: str, place: int = 0) -> None:
    """Change an instance of a task, as the studio does."""
    instance = pool.instances.of_task(task_of(pool, instruction))[place]
    values = {"input": given, "output": output, "verdict": "accepted", "reason": "edited"}
    pool.ledger.change_instance(Note("edit instance", "changed it"), instance.id, values)


def rate(pool: Pool, instruction: str, said: dict[int, str], rater: str) -> None:
    """Let a rater say three letters of instances of a task, by their places: each in a review of its own."""
    task = task_of(pool, instruction)
    for place, letters in said.items():
        each = pool.instances.of_task(task)[place]
        plan = ReviewPlan(1, f"{task} {place}")
        item = ReviewItem(0, task, each.id, "", instruction, each.input, each.output)
        review = pool.reviews.find(plan) or pool.reviews.add(plan, [item])
        pool.reviews.put(review.id, rater, 0, rated(letters))


def decided(given: str, output: str, reason: str) -> DecidedInstance:
    """An instance that was rejected for a reason, accepted for `valid`."""
    verdict = Verdict.ACCEPTED if reason == "valid" else Verdict.REJECTED
    return DecidedInstance(0, None, given, output, verdict, reason)


def add(pool: Pool, instruction: str, instance: DecidedInstance, texts: Sequence[str] = ()) -> None:
    """Add an instance to a task as a person asks for it; `texts` are what the model wrote meanwhile, one for each request."""
    task = task_of(pool, instruction)
    asked = PlannedRequest("", instruction, SamplingParams(max_tokens=64), 5, (), task)
    requests = tuple(HandRequest(Stage.ANSWER, asked, Completion(text, FinishReason.STOP, 9, 3)) for text in texts)
    pool.ledger.add_instances(Note("more instances", "asked for more"), ROUND, MoreInstances(task, requests, (instance,)))


def draw(pool: Pool, instruction: str, given: str, answers: Sequence[tuple[str, float, str]]) -> None:
    """Add an accepted instance whose answer is the first of several that were drawn, each with its agreement and its fault."""
    among = tuple(DrawnAnswer(place, agreement, fault) for place, (_, agreement, fault) in enumerate(answers))
    text, agreement, _ = answers[0]
    instance = replace(decided(given, text, "valid"), answer_id=0, agreement=agreement, drawn=among)
    add(pool, instruction, instance, [f" {each}\n" for each, _, _ in answers])
