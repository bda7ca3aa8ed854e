"""The two ways from a screen to the pool: questions on a connection of their own, beside whoever writes, given up when nobody waits for
them; and what is done between stages by the thread that owns the pool. What cannot be done now is refused here, in words, before anything
is opened or lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from studio.errors import StudioError, UsageError
from studio.loop.session import Session
from studio.loop.steering import Steering
from studio.pool.pool import Pool, Queries
from studio.records import Verdict
from studio.text import display_line
from studio.tui.base import Store, lay_over, leaving
from studio.tui.runner import Runner, RunnerState, Told

T = TypeVar("T")


class PoolAccess:
    """One reading connection to the pool at `path`, opened with the first question; questions are answered one after another."""

    def __init__(self, path: Path, opened: Callable[[Path], Queries] = Queries.open) -> None:
        self.path = path
        self._opened = opened
        self._queries: Queries | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pool-reader")
        self._lock = threading.Lock()
        self._asked = 0
        self._answering = 0
        self._closed = False

    async def ask(self, question: Callable[[Queries], T]) -> T:
        """Return what `question` makes of the pool. Raises PoolError as reading does.

        When the waiting task is cancelled the question is dropped, or interrupted if it has begun; so is one asked after `close`, by a
        screen that is being removed.
        """
        if self._closed:
            raise asyncio.CancelledError
        self._asked += 1
        number = self._asked
        future = self._thread.submit(self._answer, question, number)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.cancel()
            self._interrupt(number)
            raise

    def close(self) -> None:
        """Give up what is being answered and close the connection. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._interrupt(self._answering)
            # On its own thread, so that nothing is taken away under a question.
            self._thread.submit(self._close)
            self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._queries is not None:
            self._queries.close()

    def _answer(self, question: Callable[[Queries], T], number: int) -> T:
        with self._lock:
            if self._queries is None:
                self._queries = self._opened(self.path)
            self._answering = number
        try:
            return question(self._queries)
        finally:
            with self._lock:
                self._answering = 0

    def _interrupt(self, number: int) -> None:
        # Under the lock the next question cannot begin, so only the one that is meant is interrupted.
        with self._lock:
            if self._queries is not None and number and self._answering == number:
                self._queries.interrupt()


Value = TypeVar("Value")

_REFUSALS = {
    RunnerState.LOADING: ("The model is being loaded", "wait until it is there"),
    RunnerState.RUNNING: ("A stage is being played", "stop it first, or wait until it ends"),
    RunnerState.STOPPING: ("The stage is being stopped", "try again in a moment"),
    RunnerState.FAILED: ("The session could not be opened", "ctrl+r on the studio screen tries again"),
}


class Steerer:
    """Hands questions and actions on, for an `owner`: a screen or a part of one, which is told nothing any more when it has gone.

    Each is answered once: by `then`, or with an error by `failed`. Without `failed` the user is told on the screen.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._opening = False

    def refusal(self) -> UsageError | None:
        """Why nothing can be asked or changed now, None when it can."""
        state = self._runner.state
        return None if state is RunnerState.IDLE else UsageError(*_REFUSALS.get(state, _CLOSING))

    @property
    def playing(self) -> bool:
        """Whether a stage is played, or is being stopped."""
        return self._runner.state in (RunnerState.RUNNING, RunnerState.STOPPING)

    @property
    def opening(self) -> bool:
        """Whether a window is about to open, for which something is read: no other key may open one."""
        return self._opening and self._runner.state is RunnerState.IDLE

    def ready(self, owner: DOMNode) -> bool:
        """Whether something can be changed now; if not, that is said."""
        if (refusal := self.refusal()) is not None:
            say_error(owner.app, refusal)
        return refusal is None

    def ask(self, owner: DOMNode, question: Callable[[Session, Queries], T], then: Callable[[T], None], failed: Told | None = None) -> None:
        answered, refused = _for(owner, then, failed)
        if not self._runner.call(question, answered, None if failed is None else refused):
            refused(self.refusal() or UsageError(*_CLOSING))

    def act(self, owner: DOMNode, action: Callable[[Steering], T], then: Callable[[T], None], failed: Told | None = None) -> None:
        """Let `action` be done; the studio screen has the round as it is then before `then` is called."""
        answered, refused = _for(owner, then, failed)
        if not self._runner.steer(action, answered, None if failed is None else refused):
            refused(self.refusal() or UsageError(*_CLOSING))

    def bring(self, owner: DOMNode, work: Callable[[Pool, threading.Event], T], then: Callable[[T], None], failed: Told) -> bool:
        """Let much be brought into the pool, until `stop_bringing`; False where it cannot begin, which is said by `failed`."""
        answered, refused = _for(owner, then, failed)
        begun = self._runner.bring(work, answered, refused)
        if not begun:
            refused(self.refusal() or UsageError(*_CLOSING))
        return begun

    def stop_bringing(self) -> None:
        self._runner.cancel()

    def open(self, owner: Screen[Any], question: Callable[[Session, Queries], T], window: Callable[[T], Screen[Any] | None]) -> None:
        """Lay the window that is made of the answer over `owner`, unless another one is there or about to be by then.

        A `window` that returns None has laid over what it wanted.
        """
        if self.opening or owner.app.screen is not owner:
            return
        self._opening = True

        def then(value: T) -> None:
            self._opening = False
            if not leaving(owner) and owner.app.screen is owner and (made := window(value)) is not None:
                lay_over(owner, made)

        def failed(error: StudioError) -> None:
            self._opening = False
            say_error(owner.app, error)

        # For the app: who waits for it is this, whether the owner is still there or not.
        self.ask(owner.app, question, then, failed)

    def more_instances(self, owner: DOMNode, task_id: int) -> bool:
        """Begin to let the model write more instances of a task; where it cannot begin, that is said."""
        return self.ready(owner) and self._runner.ask_more(task_id)


_CLOSING = ("The studio is closing", "open it again to go on")


def say_error(app: App[Any], error: StudioError) -> None:
    """Tell why something was not done."""
    words = error.words()
    app.notify(display_line(words, 300), severity="warning", markup=False)


def _for(owner: DOMNode, then: Callable[[T], None], failed: Told | None) -> tuple[Callable[[T], None], Told]:
    """The two answers as they reach an owner that may have gone meanwhile: what was done is no news then, what was not done is."""
    app = owner.app

    def answered(value: T) -> None:
        if not leaving(owner):
            then(value)

    def refused(error: StudioError) -> None:
        if failed is None or leaving(owner):
            say_error(app, error)
        else:
            failed(error)

    return answered, refused


class SteeredScreen(Screen[None]):
    """What every screen that steers has: undo and redo, and a palette that offers what applies. Without a `steerer` it only shows."""

    OFFERED: ClassVar[Mapping[str, str]] = {}
    """What the palette calls actions that have a key."""
    steerer: Steerer | None = None

    def changed(self) -> None:
        """Something was decided: read again what is shown."""

    def action_undo(self) -> None:
        self._steer(lambda steering: told("took back", steering.undo()))

    def action_redo(self) -> None:
        self._steer(lambda steering: told("did again", steering.redo()))

    def commands(self) -> Iterator[SystemCommand]:
        """What the palette offers here, as it applies now."""
        tooltips = {each.action: each.tooltip for each in self.BINDINGS if isinstance(each, Binding)}
        for action, title in self.OFFERED.items():
            if self.check_action(action, ()):
                yield SystemCommand(title, self.words_of(action) or tooltips[action].rstrip("."), getattr(self, f"action_{action}"))

    def words_of(self, action: str) -> str:  # noqa: ARG002  (for subclasses)
        """What the palette says of an action, where it is other than what is said of its key."""
        return ""

    def _steer(self, act: Callable[[Steering], str], stored: Callable[[], None] | None = None, failed: Told | None = None) -> None:
        """Let `act` be done and tell what it did; the log keeps it. `stored` and `failed` are for an editor that waits for it."""

        def then(words: str) -> None:
            if stored is not None:
                stored()
            self.notify(display_line(words, 200), timeout=3, markup=False)
            self.changed()

        if self.steerer is not None:
            self.steerer.act(self, act, then, failed)

    def _storing(self, act: Callable[[Steering, Value], str]) -> Store[Value]:
        """The way in which an editor over this screen stores its value: by `act`, which is told like any other."""
        return lambda value, stored, failed: self._steer(lambda steering: act(steering, value), stored, failed)


def overrule(steering: Steering, candidate_id: int) -> str:
    """Turn the verdict that stands of a candidate: accept what is rejected, or the reverse."""
    accepted = steering.reader.candidates.decisions(candidate_id)[-1].verdict is Verdict.ACCEPTED
    return steering.override(candidate_id, Verdict.REJECTED if accepted else Verdict.ACCEPTED)


def told(verb: str, words: str | None) -> str:
    """Say what an undo or redo did; `words` are None when it had nothing to do."""
    return f"{verb}: {words}" if words else "There is nothing to take back."
