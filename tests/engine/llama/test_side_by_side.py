"""One stream of events made of several."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from studio.engine.llama.engine import side_by_side


def test_everything_comes_each_stream_in_its_order() -> None:
    given = list(side_by_side([iter([("a", n) for n in range(50)]), iter([("b", n) for n in range(30)])], lambda: None))
    assert [n for name, n in given if name == "a"] == list(range(50))
    assert [n for name, n in given if name == "b"] == list(range(30))


def test_streams_run_at_the_same_time() -> None:
    met = threading.Barrier(2)

    def stream(name: str) -> Iterator[str]:
        met.wait(600)
        yield name

    assert sorted(side_by_side([stream("a"), stream("b")], lambda: None)) == ["a", "b"]


def test_one_stream_needs_no_thread() -> None:
    def names() -> Iterator[str]:
        yield threading.current_thread().name

    assert list(side_by_side([names()], lambda: None)) == [threading.current_thread().name]
    assert list(side_by_side([], lambda: None)) == []


def endless(stop: threading.Event, ended: threading.Event) -> Iterator[int]:
    try:
        while not stop.is_set():
            yield 0
    finally:
        ended.set()


def test_an_error_stops_the_others_and_is_raised() -> None:
    stop, ended = threading.Event(), threading.Event()

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(side_by_side([endless(stop, ended), broken()], stop.set))
    assert ended.is_set()


def test_closing_early_stops_all() -> None:
    stop, ended = threading.Event(), threading.Event()
    stream = side_by_side([endless(stop, ended), endless(stop, threading.Event())], stop.set)
    assert next(stream) == 0
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]
    assert ended.is_set()
