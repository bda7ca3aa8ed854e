"""What an instance may have beside input and output: told where a format has no place for it, added or taken out where a user asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum

from studio.engine.thoughts import opens_thoughts, split_thoughts
from studio.pool.stream import ExportTask
from studio.records import Instance, SeedTask, Turn


class Part(StrEnum):
    """A part of an instance for which not every format has a place."""

    SYSTEM = "system turns"
    TURNS = "later turns"
    THOUGHTS = "thoughts"


Lacks = Callable[[Instance], frozenset[Part]]
"""Which parts that an instance has a format leaves out."""


def parts_of(instance: Instance) -> frozenset[Part]:
    """Return which parts an instance has."""
    thought = instance.thoughts or any(turn.thoughts for turn in instance.turns)
    found = ((Part.SYSTEM, instance.system), (Part.TURNS, instance.turns), (Part.THOUGHTS, thought))
    return frozenset(part for part, has in found if has)


def nothing(_instance: Instance) -> frozenset[Part]:
    """Tell for a format that has a place for everything."""
    return frozenset()


def without(*parts: Part) -> Lacks:
    """Return what tells for a format that has no place for `parts`."""
    return lambda instance: parts_of(instance) & frozenset(parts)


class Thinking(StrEnum):
    """What becomes of thoughts that stand before an answer."""

    TEXT = "text"
    """They are text as any other."""
    KEEP = "keep"
    """They are kept apart from the answer."""
    STRIP = "strip"
    """They are left out."""


def set_apart(instance: Instance) -> Instance:
    """Return an instance whose output, and the turns of an assistant behind it, begin with no thoughts: these are apart from them."""
    thoughts, output = _told_apart(instance.thoughts, instance.output)
    return replace(instance, thoughts=thoughts, output=output, turns=tuple(map(_turn_apart, instance.turns)))


def without_thoughts(instance: Instance) -> Instance:
    """Return an instance without thoughts, neither apart from its output nor at the beginning of that."""
    apart = set_apart(instance)
    return replace(apart, thoughts="", turns=tuple(replace(turn, thoughts="") for turn in apart.turns))


def begins_with_thoughts(instance: Instance) -> bool:
    """Return whether the output, or an assistant's turn behind it, begins with a mark of thoughts."""
    return any(map(opens_thoughts, _answers(instance)))


def with_thinking(task: SeedTask, thinking: Thinking) -> tuple[SeedTask, int]:
    """Return a task whose thoughts are as they are wanted, and of how many of its instances some were found.

    With `Thinking.TEXT` those are the instances that begin with a mark of thoughts, which stays where it is.
    """
    if thinking is Thinking.TEXT:
        return task, sum(map(begins_with_thoughts, task.instances))
    as_wanted = set_apart if thinking is Thinking.KEEP else without_thoughts
    instances = tuple(map(as_wanted, task.instances))
    pairs = tuple((as_wanted(better), as_wanted(worse)) for better, worse in task.pairs)
    changed = sum(new != old for new, old in zip(instances, task.instances, strict=True))
    return (replace(task, instances=instances, pairs=pairs) if changed or pairs != task.pairs else task), changed


def _answers(instance: Instance) -> Iterator[str]:
    yield instance.output
    yield from (turn.text for turn in instance.turns if turn.role == "assistant")


def _turn_apart(turn: Turn) -> Turn:
    if turn.role != "assistant":
        return turn
    thoughts, text = _told_apart(turn.thoughts, turn.text)
    return replace(turn, thoughts=thoughts, text=text)


def _told_apart(thoughts: str, text: str) -> tuple[str, str]:
    found = split_thoughts(text)
    if found is None:
        return thoughts, text
    return "\n\n".join(filter(None, (thoughts, found[0]))), found[1]


class Fitting:
    """Makes of tasks what an export asks for: `system` for the instances that have no system turn, thoughts kept or left out.

    `lost` counts the instances by the part for which the format has no place, `stripped` those whose thoughts were to be left out. Of a
    format of pairs only the better answers are written, and counted for each pair.
    """

    def __init__(self, lacks: Lacks, system: str = "", thinking: Thinking = Thinking.KEEP, *, paired: bool = False) -> None:
        self._lacks = lacks
        self._paired = paired
        self._system = system
        self._strips = thinking is Thinking.STRIP
        self.lost: Counter[Part] = Counter()
        self.stripped = 0

    def fit(self, task: ExportTask) -> ExportTask:
        """Return a task as it is to be written."""
        if self._system or self._strips:
            task = replace(task, instances=tuple(map(self._fitted, task.instances)))
        if self._strips:
            task = replace(task, pairs=tuple(replace(pair, rejected=_told_apart("", pair.rejected)[1]) for pair in task.pairs))
        if self._paired:
            instances = dict(zip(task.instance_ids, task.instances, strict=True))
            for pair in task.pairs:
                if (instance := instances.get(pair.instance_id)) is not None:
                    self.lost.update(self._lacks(instance) | (frozenset() if pair.last else without(Part.TURNS)(instance)))
        else:
            for instance in task.instances:
                self.lost.update(self._lacks(instance))
        return task

    def _fitted(self, instance: Instance) -> Instance:
        if self._system and not instance.system:
            instance = replace(instance, system=self._system)
        if self._strips:
            bare = without_thoughts(instance)
            self.stripped += bare != instance
            instance = bare
        return instance
