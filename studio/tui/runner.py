"""The thread that owns pool, engine and session. The screen asks it to play stages and collects what it has to tell."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast

from studio.engine.api import EngineInfo
from studio.engine.opening import Opener, open_engine
from studio.errors import ModelError, StudioError, unexpected
from studio.insight.studies.comparison import comparable
from studio.launch import Opening, OpenRun, RunRequest
from studio.loop.events import Event, RunStopped, StageFinished, StopReason
from studio.loop.session import Goal, Session
from studio.loop.settings import Method
from studio.loop.stages.asking import StageCancelled
from studio.loop.steering import Steering
from studio.pool.pool import Pool, Queries
from studio.tui.round.live import RoundView, read_round

T = TypeVar("T")


class RunnerState(StrEnum):
    """What the thread is doing. A new stage begins only from IDLE: the one before has then reported its end."""

    LOADING = "loading"
    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    CLOSED = "closed"


class Work(StrEnum):
    """How far to play."""

    STEP = "step"
    ROUND = "round"
    RUN_ON = "run on"
    MORE = "more instances"


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being loaded, and the one that answers where there is one; an empty `model` is the bundled one.

    `notes` tell what of the seed files is not taken.
    """

    model: str
    notes: tuple[str, ...] = ()
    answering: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """The run is ready. `comparable`: the pool has answers of two models that can be compared; while it is open, nobody else brings any.

    `answering` is the model that answers, where there is one of its own; `notices` are what is to be said of how both run.
    """

    info: EngineInfo
    method: Method
    seed: str
    resumed: bool
    comparable: bool
    answering: EngineInfo | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundRead:
    """The newest round as it stands in the pool, None when the pool has none; and what could be undone and redone, in words."""

    view: RoundView | None
    generated: int
    undo: str | None = None
    redo: str | None = None


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: RunnerState


@dataclass(frozen=True, slots=True)
class WorkEnded:
    """What was asked for is done, or was stopped for `stopped`."""

    work: Work
    stopped: StopReason | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong; what was committed before stays."""

    error: StudioError


@dataclass(frozen=True, slots=True)
class Answered:
    """A call has returned; `then` is for the receiver to call with `value`."""

    then: Callable[[Any], None]
    value: Any


Notice = Event | Loading | Opened | RoundRead | StateChanged | WorkEnded | Failed | Answered

Told = Callable[[StudioError], None]
"""Takes why something that was asked for was not done."""

Timed = tuple[float, Notice]
"""A notice and when it was made, by the runner's clock in seconds."""

_URGENT = (Loading, StateChanged, Failed, Answered)


class Runner:
    """Runs one session on a thread of its own.

    `signal` is called from that thread when something happened that a screen should not wait a tick for: what somebody asked for begins,
    is over, or has failed. Tokens and stages that pass are no such thing: drawing takes Python's interpreter, which the next stage needs
    before the model can go on. Every public method may be called from any thread and returns at once, but `close`.
    """

    def __init__(
        self,
        asked: RunRequest,
        signal: Callable[[], None] = lambda: None,
        *,
        opener: Opener = open_engine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.asked = asked
        options = asked.configuration.options
        self.goal = Goal(options.target, options.rounds)
        """Where a run that goes on by itself ends; another one holds from the next start on."""
        self.bringing = False
        """Whether something is being brought into the pool, and no stage played."""
        self._signal = signal
        self._opener = opener
        self._clock = clock
        self._notices: deque[Timed] = deque()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._state = RunnerState.LOADING
        self._closing = False
        self._open: OpenRun | None = None
        self._session: Session | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> RunnerState:
        return self._state

    def now(self) -> float:
        """The runner's clock, in seconds; notices carry its times."""
        return self._clock()

    def start(self) -> None:
        """Open the pool and load the model. Also the way to try again after a failure to do so."""
        with self._lock:
            if self._closing or (self._thread is not None and self._thread.is_alive()):
                return
            self._state = RunnerState.LOADING
            self._thread = threading.Thread(target=self._main, name="studio-runner", daemon=True)
            self._thread.start()
        self._tell(StateChanged(RunnerState.LOADING))

    def play(self, work: Work) -> bool:
        """Begin to play if idle; otherwise do nothing and return False."""
        goal = self.goal
        return self._begin(work, lambda session: session.run(goal) if work is Work.RUN_ON else session.play_round())

    def ask_more(self, task_id: int) -> bool:
        """Let the model write more instances of a task, if idle."""
        return self._begin(Work.MORE, lambda session: session.steering.more_instances(task_id))

    def call(self, function: Callable[[Session, Queries], T], then: Callable[[T], None], failed: Told | None = None) -> bool:
        """Run `function` between stages with the session and the pool's read side; its value comes back as `Answered`.

        What goes wrong comes back so, too, where there is `failed` for it, else as `Failed`. False when not idle.
        """
        return self._enqueue(lambda: self._tell(Answered(then, function(self._ready_session(), self._reader()))), failed)

    def steer(self, function: Callable[[Steering], T], then: Callable[[T], None], failed: Told | None = None) -> bool:
        """The same for a function that changes something: the round is read again after it, before its value comes."""

        def act() -> None:
            value = function(self._ready_session().steering)
            self._read(self._reader())
            self._tell(Answered(then, value))

        return self._enqueue(act, failed)

    def cancel(self) -> bool:
        """Stop what is playing; the stage under way is given up and can be played again. False when nothing plays."""
        with self._lock:
            if self._state is not RunnerState.RUNNING:
                return False
            self._state = RunnerState.STOPPING
            self._stop.set()
            if self._session is not None:
                self._session.cancel.cancel()
        self._tell(StateChanged(RunnerState.STOPPING))
        return True

    def bring(self, function: Callable[[Pool, threading.Event], T], then: Callable[[T], None], failed: Told) -> bool:
        """Run `function`, which brings much into the pool, between stages; it is to stop when the event is set, by `cancel`.

        Nothing plays meanwhile, and the session is made anew after it. Its value or its error comes as `Answered`. False when not idle.
        """
        return self._run(lambda: self._brought(function, then, failed), bringing=True)

    def drain(self) -> list[Timed]:
        """Return what happened since the last call, in order."""
        notices = []
        while self._notices:
            notices.append(self._notices.popleft())
        return notices

    def close(self, timeout: float = 5.0) -> bool:
        """Stop, free the model, close the pool, and wait for that. False when the thread is still busy after `timeout` seconds.

        A model that is still being loaded cannot be interrupted: the thread then ends with the process, which the pool survives.
        """
        self.cancel()
        with self._lock:
            self._closing = True
            thread = self._thread
        self._work.put(None)
        if thread is not None:
            thread.join(timeout)
            return not thread.is_alive()
        return True

    def _begin(self, work: Work, events: Callable[[Session], Iterator[Event]]) -> bool:
        return self._run(lambda: self._played(work, events))

    def _run(self, what: Callable[[], None], *, bringing: bool = False) -> bool:
        with self._lock:
            if self._state is not RunnerState.IDLE or self._closing:
                return False
            self._state, self.bringing = RunnerState.RUNNING, bringing
            self._stop.clear()
        self._tell(StateChanged(RunnerState.RUNNING))
        self._work.put(what)
        return True

    def _enqueue(self, act: Callable[[], None], failed: Told | None) -> bool:
        with self._lock:
            if self._state is not RunnerState.IDLE or self._closing:
                return False
        self._work.put(lambda: self._acted(act, failed))
        return True

    def _acted(self, act: Callable[[], None], failed: Told | None) -> None:
        try:
            act()
        except Exception as error:  # Whatever it is: who asked waits for an answer.
            known = unexpected(error)
            if known is not error:
                # A refused action has changed nothing, so the session is as good as before; this one may have.
                self._session = None
            self._tell(Failed(known) if failed is None else Answered(failed, known))

    def _read(self, reader: Queries) -> None:
        view = read_round(reader)
        self._tell(RoundRead(view, reader.figures.generated(), reader.ledger.next_undo(), reader.ledger.next_redo()))

    def _reader(self) -> Queries:
        assert self._open is not None
        return self._open.pool

    def _main(self) -> None:
        ending = RunnerState.CLOSED
        try:
            with Opening(self.asked, self._opener) as opening:
                self._tell(Loading(opening.model, tuple(opening.notes), opening.answer_model))
                if opening.pool is not None:
                    self._read(opening.pool)
                self._open = opening.start()
                self._session = self._open.session()
                self._tell(_opened(self._open))
                self._read(self._reader())
                self._to(RunnerState.IDLE)
                self._serve()
        except Exception as error:  # The screen must hear of it, whatever it is: a dead thread would leave it waiting.
            self._tell(Failed(unexpected(error)))
            ending = RunnerState.FAILED
        self._open = self._session = None
        self._to(ending)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception as error:  # Whatever it is: the screen hears of it, and the next stage can be tried.
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        # The index may hold what was never stored: the next session is filled from the pool.
        self._session = None
        self._tell(Failed(unexpected(error)))

    def _played(self, work: Work, events: Callable[[Session], Iterator[Event]]) -> None:
        try:
            self._play(work, events)
        except Exception as error:  # Told before it is idle again: who sees that finds the notice of the failure.
            self._failed(error)
        finally:
            self._to(RunnerState.IDLE)

    def _play(self, work: Work, events_of: Callable[[Session], Iterator[Event]]) -> None:
        session = self._ready_session()
        if session.cancel.cancelled:
            session.go_on()
        # Someone may have cancelled before there was a session to cancel.
        if self._stop.is_set():
            session.cancel.cancel()
        stopped: StopReason | None = None
        try:
            # Closed between stages only: what is thrown away is a generator that waits after a commit.
            with closing(cast("Generator[Event]", events_of(session))) as events:
                for event in events:
                    self._tell(event)
                    if isinstance(event, StageFinished):
                        self._read(self._reader())
                        if work is Work.STEP:
                            break
                    if isinstance(event, RunStopped):
                        stopped = event.reason
        except StageCancelled:
            stopped = StopReason.CANCELLED
        except ModelError:
            # What a server had answered by then was stored.
            self._read(self._reader())
            raise
        if work is Work.MORE or stopped is StopReason.CANCELLED:
            self._read(self._reader())
        self._tell(WorkEnded(work, stopped))

    def _brought(self, function: Callable[[Pool, threading.Event], T], then: Callable[[T], None], failed: Told) -> None:
        assert self._open is not None
        try:
            value = function(self._open.pool, self._stop)
            self._read(self._reader())
            self._tell(Answered(then, value))
        except Exception as error:  # Whatever it is: who asked waits for an answer.
            self._tell(Answered(failed, unexpected(error)))
        finally:
            # Its index does not know what has come.
            self._session, self.bringing = None, False
            self._to(RunnerState.IDLE)

    def _ready_session(self) -> Session:
        """The session, or a new one after a failure."""
        assert self._open is not None
        if self._session is None:
            self._session = self._open.session()
        return self._session

    def _to(self, state: RunnerState) -> None:
        with self._lock:
            # Told before it is so: who sees the state finds the notice of it.
            self._notices.append((self._clock(), StateChanged(state)))
            self._state = state
        self._signal()

    def _tell(self, notice: Notice) -> None:
        self._notices.append((self._clock(), notice))
        if isinstance(notice, _URGENT):
            self._signal()


def _opened(started: OpenRun) -> Opened:
    run, answering = started.run, started.answering
    told = (started.engine.info, run.method, run.seed, run.resumed, bool(comparable(started.pool)))
    return Opened(*told, None if answering is None else answering.info, started.notices)
