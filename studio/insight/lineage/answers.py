"""Which answers were drawn for an instance that was answered apart, and which of them was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.loop.stages.answer import user_text
from studio.pool.instances import InstanceRecord
from studio.pool.requests import RequestRecord
from studio.records import Stage


@dataclass(frozen=True, slots=True)
class DrawnAnswers:
    """The requests, by their ids, that had one instance answered, in the order they were made; `chosen` is the one it has its output of."""

    instance_id: int
    drawn: tuple[int, ...]
    chosen: int


def drawn_answers(instruction: str, instances: Sequence[InstanceRecord], requests: Sequence[RequestRecord]) -> tuple[DrawnAnswers, ...]:
    """Tell for each instance of a task that has an answer which ones were drawn for it; `requests` are all about the task.

    What was asked once more in other words holds the question in it. Where a person has changed the question since, those count that asked
    as the chosen one does. What was asked for by hand more than once in a round counts together.
    """
    by_id = {each.id: each for each in requests if each.stage is Stage.ANSWER}
    given = {each.id: each.input if each.original is None else each.original.input for each in instances}
    # Of a passage the question stands behind it.
    asked = {number: (user_text(instruction, text), user_text(text, instruction)) for number, text in given.items()}
    questions = {question for both in asked.values() for question in both}
    found = []
    for each in instances:
        chosen = None if each.answer_id is None else by_id.get(each.answer_id)
        if chosen is not None:
            beside = [one for one in by_id.values() if (one.round, one.ordinal < 0) == (chosen.round, chosen.ordinal < 0)]
            drawn = [one.id for one in beside if any(_asks(one.suffix, question, questions) for question in asked[each.id])]
            if chosen.id not in drawn:
                drawn = [one.id for one in beside if one.suffix == chosen.suffix]
            found.append(DrawnAnswers(each.id, tuple(drawn), chosen.id))
    return tuple(found)


def _asks(suffix: str, question: str, questions: set[str]) -> bool:
    return suffix == question or (question in suffix and suffix not in questions)
