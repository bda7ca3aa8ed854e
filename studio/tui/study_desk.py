"""Where ratings are stored from: at once by the command's own writer, or on the runner's thread, which owns the pool of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from textual.dom import DOMNode

from studio.errors import StudioError
from studio.loop.steering import Steering
from studio.pool.pool import Queries
from studio.tui.steering import Steerer

T = TypeVar("T")
W = TypeVar("W")
S = TypeVar("S", covariant=True)


class Desk(Protocol[S]):
    """Runs `act` with the pool's read side and a study's write side, then tells `then` its value, or the error that kept it from storing.

    A UsageError is told at once where the pool is busy with a stage: nothing was done then, and nothing will be.
    """

    def __call__(self, act: Callable[[Queries, S], T], then: Callable[[T | StudioError], None]) -> None: ...


def desk_of(reader: Queries, writer: W) -> Desk[W]:
    """A desk that stores before it returns; for whoever holds the writer's lock."""

    def call(act: Callable[[Queries, W], T], then: Callable[[T | StudioError], None]) -> None:
        try:
            value: T | StudioError = act(reader, writer)
        except StudioError as error:
            value = error
        then(value)

    return call


def desk_of_steerer(owner: DOMNode, steerer: Steerer, writer: Callable[[Steering], W]) -> Desk[W]:
    """A desk that stores between stages, with the write side that `writer` takes of the session; `owner` is there as long as it is used."""

    def call(act: Callable[[Queries, W], Any], then: Callable[[Any], None]) -> None:
        steerer.ask(owner, lambda session, reader: act(reader, writer(session.steering)), then, then)

    return call
