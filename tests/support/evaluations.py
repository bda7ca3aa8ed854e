"""Evaluations to test with: items, answers, and a pool that has some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from studio.engine.api import Completion, FinishReason
from studio.pool.evaluations import Answer, Contestant, EvaluationItem, EvaluationPlan
from studio.pool.pool import Pool
from support.pools import MODEL

BASE = Contestant(MODEL, "chat", "chat template")
TUNED = replace(BASE, format="plain", template="plain template", adapter="lora", adapter_sha256="ad" * 32)


def item(
    position: int = 0,
    *,
    task: int | None = None,
    instruction: str = "Name a river.",
    given: str = "",
    outputs: Sequence[str] = ("Elbe",),
    is_classification: bool = False,
) -> EvaluationItem:
    """An item of a task of its own, unless told otherwise."""
    number = position if task is None else task
    return EvaluationItem(position, number, None, f"key {number}", instruction, given, tuple(outputs), is_classification)


def answered(pool: Pool, items: Sequence[EvaluationItem], texts: Mapping[Contestant, Sequence[str]]) -> tuple[int, list[int]]:
    """Store an evaluation with what each contestant answered to the first items; return its id and the contestants'."""
    evaluation = pool.evaluations.open(EvaluationPlan("a file", tuple(items), 64))
    entered = []
    for contestant, said in texts.items():
        found = pool.evaluations.enter(evaluation, contestant)
        answers = [Answer(place, "prompt", Completion(text, FinishReason.STOP, 5, len(text.split()))) for place, text in enumerate(said)]
        pool.evaluations.add(found, answers)
        entered.append(found)
    return evaluation, entered
