"""How many instructions of each round have a root verb that none before them had: the parser's counterpart of opening words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from studio.insight.phrases import Phrase


@dataclass(frozen=True, slots=True)
class VerbRound:
    """The tasks of one round that were looked at, those that have a root verb, and those whose verb is new."""

    round: int
    tasks: int
    with_verb: int
    new: int


class NewVerbs:
    """Takes phrases in by ascending task id; memory is the distinct verbs and the rounds."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._rounds: dict[int, list[int]] = {}

    def add(self, number: int | None, phrase: Phrase | None) -> None:
        """Take in the phrase of a task of round `number`, None for a task of no round, whose verb is known from then on."""
        verb = phrase.verb if phrase else None
        if number is not None:
            counts = self._rounds.setdefault(number, [0, 0, 0])
            counts[0] += 1
            counts[1] += verb is not None
            counts[2] += verb is not None and verb not in self._seen
        if verb is not None:
            self._seen.add(verb)

    def result(self) -> tuple[VerbRound, ...]:
        """The rounds that have a task, in their order."""
        return tuple(VerbRound(number, *counts) for number, counts in sorted(self._rounds.items()))


def summed(rounds: Iterable[VerbRound]) -> VerbRound:
    """Return neighbouring rounds as one, under the number of the first. Raises ValueError when there is none."""
    group = list(rounds)
    if not group:
        raise ValueError("no rounds to sum up")
    return VerbRound(
        group[0].round, sum(each.tasks for each in group), sum(each.with_verb for each in group), sum(each.new for each in group)
    )
