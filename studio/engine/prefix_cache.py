"""Remembers the evaluated state of few-shot templates between batches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Anything with a size in bytes."""

    def __len__(self) -> int: ...


S = TypeVar("S", bound=Sized)


class PrefixCache(Generic[S]):
    """States by their tokens, least recently used dropped first once they hold more than `budget` bytes together.

    A state larger than the whole budget is not kept.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._states: OrderedDict[tuple[int, ...], S] = OrderedDict()
        self._held = 0

    def __len__(self) -> int:
        return len(self._states)

    def get(self, tokens: tuple[int, ...]) -> S | None:
        """Return the state of exactly these tokens, and count it as used now."""
        state = self._states.get(tokens)
        if state is not None:
            self._states.move_to_end(tokens)
        return state

    def put(self, tokens: tuple[int, ...], state: S) -> None:
        """Keep a state, dropping others to make room."""
        if len(state) > self._budget:
            return
        if tokens in self._states:
            self._held -= len(self._states.pop(tokens))
        self._states[tokens] = state
        self._held += len(state)
        while self._held > self._budget:
            _, dropped = self._states.popitem(last=False)
            self._held -= len(dropped)

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()
        self._held = 0


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
