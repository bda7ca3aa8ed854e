"""Decides what is evaluated when, from the requests alone: never from time, so that the same batch runs the same way every time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """What ends a text beside the model's own words for it: the token or the string that a template writes where a user's turn is over."""

    token: int = -1
    string: str = ""


NO_END = TurnEnd()


@dataclass(frozen=True, slots=True)
class Job:
    """A request as the scheduler sees it. `prefix` holds the first tokens of `tokens` that it shares with others, perhaps none;
    at least one token is its own. `room` is the most tokens it may generate. With `choices` it generates none: the logits of these tokens
    after its prompt are compared instead. `end` ends its text beside the model's own words for that. With `measured` it generates none
    either: what is wanted is how likely the last `measured` of its tokens are; its prefix ends before the one that they follow.
    `thoughts` is the mark of thoughts that its tokens end with."""

    index: int
    tokens: tuple[int, ...]
    prefix: tuple[int, ...]
    room: int
    choices: tuple[int, ...] = ()
    end: TurnEnd = NO_END
    measured: int = 0
    thoughts: str = ""

    @property
    def own_cells(self) -> int:
        """Cells of the context it needs at most, beside its prefix's."""
        return len(self.tokens) - len(self.prefix) + self.room


@dataclass(frozen=True, slots=True)
class Wave:
    """Jobs that run together, and the prefixes that are in the context meanwhile."""

    prefixes: tuple[tuple[int, ...], ...]
    jobs: tuple[Job, ...]


def plan_waves(jobs: Sequence[Job], *, context: int, max_prefixes: int) -> list[Wave]:
    """Divide jobs into waves, so that each wave's prefixes and its largest job fit a context of `context` cells.

    Prefixes come in the order of their first job. One joins a wave while there are at most `max_prefixes`, they leave at least half of the
    context to the jobs, and the largest job fits; jobs without a prefix belong to the first wave.
    """
    groups: dict[tuple[int, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.prefix, []).append(job)
    waves: list[Wave] = []
    prefixes: list[tuple[int, ...]] = []
    members: list[Job] = groups.pop((), [])
    for prefix, group in groups.items():
        cells = len(prefix) + sum(map(len, prefixes))
        largest = max(job.own_cells for job in (*members, *group))
        if members and (len(prefixes) >= max_prefixes or cells * 2 > context or cells + largest > context):
            waves.append(_wave(prefixes, members))
            prefixes, members = [], []
        prefixes.append(prefix)
        members.extend(group)
    if members:
        waves.append(_wave(prefixes, members))
    return waves


def _wave(prefixes: Iterable[tuple[int, ...]], members: Iterable[Job]) -> Wave:
    return Wave(tuple(prefixes), tuple(sorted(members, key=lambda job: job.index)))


def deal(jobs: Sequence[Job], hands: int) -> list[list[Job]]:
    """Divide jobs among `hands`, in turn, whatever their sizes: how long each will take is not known, and who is free must not matter."""
    return [list(jobs[hand::hands]) for hand in range(hands)]


def first_jobs(jobs: Iterable[Job], prefixes: Collection[tuple[int, ...]]) -> set[int]:
    """Return, for each of `prefixes`, the lowest index of a job that has it."""
    first: dict[tuple[int, ...], int] = {}
    for job in jobs:
        if job.prefix in prefixes:
            first[job.prefix] = min(job.index, first.get(job.prefix, job.index))
    return set(first.values())


class Slots:
    """Hands the sequences of a wave to its jobs, first come first served, never more than `cells` cells at once."""

    def __init__(self, jobs: Iterable[Job], *, parallel: int, cells: int) -> None:
        self._waiting = deque(jobs)
        self._free = list(range(parallel))
        self._cells = cells

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs that have not begun, in their order."""
        return tuple(self._waiting)

    def admit(self) -> list[tuple[int, Job]]:
        """Return the jobs that begin now, each with its sequence; the lowest free sequence is taken first."""
        begun = []
        while self._waiting and self._free and self._waiting[0].own_cells <= self._cells:
            job = self._waiting.popleft()
            self._cells -= job.own_cells
            begun.append((self._free.pop(0), job))
        return begun

    def release(self, slot: int, job: Job) -> None:
        """Give back what `admit` gave."""
        self._free.append(slot)
        self._free.sort()
        self._cells += job.own_cells

    def lower(self, slot: int) -> int:
        """Exchange a sequence for the lowest free one below it and return that; the same where there is none."""
        if not self._free or self._free[0] > slot:
            return slot
        lowest = self._free.pop(0)
        self._free.append(slot)
        self._free.sort()
        return lowest


def measured_rows(prompts: Sequence[tuple[int, int]], outputs: int) -> list[int]:
    """Return how many tokens of each prompt may go into the next batch for its logits' sake, when `outputs` rows may have some.

    A prompt is its tokens left and how many of these, the last ones, want logits.

    >>> measured_rows([(9, 1), (9, 5), (9, 5)], 4)
    [9, 7, 4]
    """
    allowed = []
    for remaining, wanted in prompts:
        rows = min(wanted, outputs)
        outputs -= rows
        allowed.append(remaining - wanted + rows)
    return allowed


def share_rows(decoding: int, prompts: Sequence[int], rows: int) -> list[int]:
    """Return how many tokens of each waiting prompt go into the next batch of `rows` rows.

    Sequences that decode have one row each before anything else; prompts are filled in their order.
    """
    left = rows - decoding
    shares = []
    for remaining in prompts:
        share = max(0, min(remaining, left))
        shares.append(share)
        left -= share
    return shares


def common_prefix(first: Sequence[int], others: Iterable[Sequence[int]]) -> int:
    """Return the length of the longest beginning of `first` that all `others` share."""
    length = len(first)
    for other in others:
        length = min(length, len(other))
        for position in range(length):
            if first[position] != other[position]:
                length = position
                break
    return length
