"""The runner without a screen: one thread, one piece of work at a time, and the same data however it is played."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from studio.engine.api import CancelToken, Engine, EngineEvent, Request
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from studio.launch import RunRequest
from studio.loop.events import RunStopped, StopReason, TextStreamed
from studio.loop.session import Goal
from studio.records import Stage
from studio.tui.runner import Answered, Failed, Notice, Opened, RoundRead, Runner, RunnerState, StateChanged, Work, WorkEnded
from support.pools import assert_sound
from support.sessions import configuration, exported, play
from support.studio_app import HeldEngine, scripted

Opener = Callable[[str, EngineOptions], Engine]


class Watched:
    """A runner whose notices are kept, and a wait for one of them."""

    def __init__(self, path: Path, opener: Opener = scripted, **overrides: Any) -> None:
        self._told = threading.Event()
        asked = configuration(**overrides)
        asked = type(asked)(asked.options.model_copy(update={"target": 40}), asked.overrides)
        self.runner = Runner(RunRequest(path, asked), self._told.set, opener=opener)
        self.notices: list[Notice] = []
        self.runner.start()

    def until(self, state: RunnerState) -> None:
        """Wait until the runner has told that it is in `state`."""
        while True:
            self._told.clear()
            self.notices += [notice for _, notice in self.runner.drain()]
            states = [notice.state for notice in self.notices if isinstance(notice, StateChanged)]
            if states and states[-1] is state and self.runner.state is state:
                return
            assert self._told.wait(600), f"{state} never came: {states}"

    def play(self, work: Work) -> None:
        """Play and wait for the end."""
        assert self.runner.play(work)
        self.until(RunnerState.IDLE)

    def of(self, kind: type[Any]) -> list[Any]:
        """The notices of a kind."""
        return [notice for notice in self.notices if isinstance(notice, kind)]


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    """Make runners that are closed at the end."""
    made: list[Watched] = []

    def make(path: Path, opener: Opener = scripted, **overrides: Any) -> Watched:
        made.append(Watched(path, opener, **overrides))
        return made[-1]

    yield make
    for each in made:
        assert each.runner.close(600)


def test_a_step_ends_after_one_committed_stage(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    watched = watch(tmp_path / "pool.db")
    watched.until(RunnerState.IDLE)
    assert len(watched.of(Opened)) == 1
    for following in (Stage.INSTRUCTIONS, Stage.FILTER, Stage.CLASSIFY, Stage.INSTANCES, Stage.COMMIT, None):
        watched.play(Work.STEP)
        assert watched.of(RoundRead)[-1].view.next_stage is following
    watched.play(Work.ROUND)
    assert watched.of(RoundRead)[-1].view.number == 2
    assert watched.of(RoundRead)[-1].view.next_stage is None


@pytest.mark.parametrize("works", [[Work.RUN_ON], [Work.STEP] * 7 + [Work.RUN_ON], [Work.ROUND, Work.STEP, Work.ROUND, Work.RUN_ON]])
def test_the_data_is_that_of_a_headless_run(tmp_path: Path, watch: Callable[..., Watched], works: Sequence[Work]) -> None:
    watched = watch(tmp_path / "screen.db")
    watched.until(RunnerState.IDLE)
    for work in works:
        watched.play(work)
    assert watched.of(RunStopped)[-1].reason is StopReason.TARGET
    play(tmp_path / "headless.db", Goal(target=40))
    assert exported(tmp_path / "screen.db") == exported(tmp_path / "headless.db")


def test_a_cancelled_stage_is_played_again_to_the_same_data(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    engine = HeldEngine()
    watched = watch(tmp_path / "screen.db", lambda _m, _o: engine)
    watched.until(RunnerState.IDLE)
    assert watched.runner.play(Work.RUN_ON)
    assert engine.reached.wait(600)
    assert not watched.runner.play(Work.STEP), "one thing at a time"
    assert not watched.runner.call(lambda _session, _reader: 1, lambda _value: None)
    assert watched.runner.cancel()
    assert not watched.runner.cancel()
    watched.until(RunnerState.IDLE)
    assert watched.of(WorkEnded)[-1].stopped is StopReason.CANCELLED
    engine.go_on.set()
    watched.play(Work.RUN_ON)
    play(tmp_path / "headless.db", Goal(target=40))
    assert exported(tmp_path / "screen.db") == exported(tmp_path / "headless.db")


def test_closing_in_the_middle_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    engine = HeldEngine()
    watched = Watched(tmp_path / "pool.db", lambda _m, _o: engine)
    watched.until(RunnerState.IDLE)
    assert watched.runner.play(Work.RUN_ON)
    assert engine.reached.wait(600)
    assert watched.runner.close(600)
    assert watched.runner.state is RunnerState.CLOSED
    assert not watched.runner.play(Work.STEP)
    assert_sound(tmp_path / "pool.db")
    again = Watched(tmp_path / "pool.db")
    again.until(RunnerState.IDLE)
    assert again.of(RoundRead)[-1].view.next_stage is Stage.INSTRUCTIONS
    again.play(Work.RUN_ON)
    assert again.runner.close(600)
    play(tmp_path / "headless.db", Goal(target=40))
    assert exported(tmp_path / "pool.db") == exported(tmp_path / "headless.db")


class Failing:
    """An engine that fails the first time it is asked."""

    def __init__(self, error: Exception) -> None:
        self._engine = ScriptedEngine()
        self._error: Exception | None = error
        self.info = self._engine.info

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """Fail once, in the middle."""
        error, self._error = self._error, None
        for number, event in enumerate(self._engine.stream(requests, cancel)):
            if error is not None and number == 20:
                raise error
            yield event

    def close(self) -> None:
        """Nothing to free."""


@pytest.mark.parametrize("error", [ModelError("the model's process died", "try again"), RuntimeError("surprise")])
def test_after_an_error_the_same_stage_can_be_played_again(tmp_path: Path, watch: Callable[..., Watched], error: Exception) -> None:
    watched = watch(tmp_path / "screen.db", lambda _m, _o: Failing(error))
    watched.until(RunnerState.IDLE)
    watched.play(Work.RUN_ON)
    assert str(error) in watched.of(Failed)[-1].error.message
    watched.play(Work.RUN_ON)
    play(tmp_path / "headless.db", Goal(target=40))
    assert exported(tmp_path / "screen.db") == exported(tmp_path / "headless.db")


def test_text_and_stages_are_buffered(tmp_path: Path) -> None:
    signals: list[str] = []
    watched = Watched(tmp_path / "pool.db")
    watched.until(RunnerState.IDLE)
    watched.runner._signal = lambda: (signals.append("told"), watched._told.set())[1]  # type: ignore[func-returns-value]
    watched.play(Work.ROUND)
    assert len(watched.of(TextStreamed)) > 500
    assert len(signals) == 2, "one when it begins and one when it is over; the screen looks by itself in between"
    assert watched.runner.close(600)


def test_calls_come_back_with_their_value(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    watched = watch(tmp_path / "pool.db")
    watched.until(RunnerState.IDLE)
    got: list[int] = []
    assert watched.runner.call(lambda _session, reader: len(reader.tasks.ids()), got.append)
    watched.play(Work.STEP)
    (answer,) = watched.of(Answered)
    answer.then(answer.value)
    assert got == [175]
