"""The session without a screen: its progress on stderr, a live bar on a terminal and a line a round elsewhere, and the sum of it."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import rich.progress
from rich.console import Console, RenderableType
from rich.progress import BarColumn, TextColumn
from rich.text import Text

from studio.engine.api import CancelToken, EngineInfo
from studio.engine.opening import bytes_to_hash
from studio.errors import Interrupted, Stalled, StudioError, UsageError
from studio.launch import Opening, OpenRun, RunRequest
from studio.loop.events import (
    CandidateDecided,
    EngineRestarted,
    Event,
    Noted,
    RequestFinished,
    RequestRetried,
    RequestsSent,
    RoundFinished,
    RoundStarted,
    StageStarted,
    StopReason,
    Summary,
    TextStreamed,
)
from studio.loop.filters import stall_hint
from studio.loop.runs import Run, RunOptions
from studio.loop.session import Goal, Session
from studio.pool.pool import Pool
from studio.text import counted, display_line, say

REASONS_SHOWN = 4
_LONG_TO_HASH = 1_000_000_000
"""Bytes of a model from which on hashing it takes seconds, which are announced."""


class _Bars(rich.progress.Progress):
    """A bar with words beside it, and lines of text below."""

    def get_renderables(self) -> Iterator[RenderableType]:
        """The bar, and what is said below it."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            yield Text(task.fields["below"])


class Progress:
    """Shows accepted of target, round and stage, acceptance rate, tokens a second, time left and why candidates fall."""

    def __init__(self, console: Console, *, generated: int, target: int | None) -> None:
        self._console = console
        self._target = target
        self._before = generated
        self._generated = generated
        self._started = time.monotonic()
        self._round = 0
        self._stage = ""
        self._done = self._sent = self._finished_before = 0
        self._streaming: Counter[int] = Counter()
        self._drafts = 0
        self._falling: Counter[str] = Counter()
        self._retried: dict[str, float] = {}
        words = TextColumn("{task.description}", markup=False)
        self._bars = _Bars(BarColumn(30), words, console=console, refresh_per_second=4, transient=True, disable=not console.is_terminal)
        self._bar = self._bars.add_task("", total=target, completed=generated, below="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def show(self, event: Event, summary: Summary) -> None:
        """Take in `event`; `summary` has it already."""
        match event:
            case RoundStarted(number, _):
                self._round = number
            case StageStarted(_, stage):
                self._stage, self._done, self._sent, self._finished_before = str(stage), 0, 0, 0
                self._streaming.clear()
                self._retried.clear()
            case RequestsSent(_, count):
                # A stage may ask more than once.
                self._finished_before, self._sent = self._done, self._done + count
            case TextStreamed(_, ordinal, _):
                self._streaming[ordinal] += 1
            case RequestFinished(_, ordinal, _):
                self._done += 1
                del self._streaming[ordinal]
            case CandidateDecided():
                self._drafts += event.task_id is not None
                self._falling.update([event.reason] if event.task_id is None else [])
            case EngineRestarted(_, attempt, cause):
                self._done = self._finished_before
                self._streaming.clear()
                say(self._console, f"the engine stopped ({display_line(cause, 200)}) and was started again, attempt {attempt}")
            case RequestRetried(_, ordinal, attempt, cause, wait):
                del self._streaming[ordinal]
                # Many requests fail of one cause together: said once a stage, and again when the waits have become longer by half.
                if cause not in self._retried or wait > max(1.5 * self._retried[cause], 5.0):
                    self._retried[cause] = wait
                    again = f"is sent again {event.when}, attempt {attempt}"
                    say(self._console, f"a request failed ({display_line(cause, 200)}) and {again}")
            case Noted(text):
                say(self._console, f"note: {display_line(text)}")
            case RoundFinished():
                self._generated = event.generated
                self._drafts = 0
                self._falling.clear()
                if self._bars.disable:
                    say(self._console, f"{self._counts()} · {self._rates(summary)} · {self._reasons(summary)}")
            case _:
                return
        if not self._bars.disable:
            work = f"{self._stage} {self._done}/{self._sent}" if self._sent else self._stage
            below = f"{self._rates(summary)}\n{self._reasons(summary)}"
            self._bars.update(self._bar, completed=self._generated, description=f"{self._counts()} · {work}", below=below)

    def _counts(self) -> str:
        of_target = f"{self._generated} of {self._target}" if self._target else f"{self._generated}"
        drafts = f" (+{self._drafts} in this round)" if self._drafts else ""
        return f"accepted {of_target}{drafts} · round {self._round}"

    def _rates(self, summary: Summary) -> str:
        accepted = summary.accepted + self._drafts
        candidates = summary.candidates + self._drafts + self._falling.total()
        share = f"{accepted / candidates:.0%} of candidates accepted" if candidates else "no candidates yet"
        # A piece of streamed text is about a token; the engine's own count replaces it when the request is finished.
        tokens = summary.completion_tokens + self._streaming.total()
        speed = tokens / summary.seconds if summary.seconds else 0.0
        return f"{share} · {speed:.0f} tokens/s · {self._time_left()}"

    def _time_left(self) -> str:
        gained = self._generated - self._before
        if not self._target or not gained:
            return "time left unknown"
        seconds = (time.monotonic() - self._started) / gained * max(self._target - self._generated, 0)
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02} left"

    def _reasons(self, summary: Summary) -> str:
        top = (summary.rejected + self._falling).most_common(REASONS_SHOWN)
        return "rejected: " + (", ".join(f"{reason} {count}" for reason, count in top) or "none yet")


def run_headless(asked: RunRequest, console: Console) -> Summary:
    """Open or create the pool, load the model, generate until the goal, and return what was done.

    Everything that can be wrong with pool, settings and seeds is found before the model is loaded; a new pool is made after that.
    Raises StudioError subclasses; for how the run ended see `verdict_of`.
    """
    with Opening(asked) as opening:
        _require_open_target(asked.pool, opening.pool, asked.configuration.options)
        for note in opening.notes:
            say(console, f"note: {display_line(note)}")
        for model in dict.fromkeys([opening.model, opening.answer_model or opening.model]):
            say(console, f"loading {display_line(model) or 'the bundled model'} ...")
            if (unread := bytes_to_hash(model)) >= _LONG_TO_HASH:
                say(console, f"reading all {unread / 1e9:.1f} GB of it, once, for its sha256 ...")
        started = opening.start()
        session = started.session()
        _announce(console, started)
        return _drain(session, asked, started.run, started.pool, console)


def verdict_of(summary: Summary, asked: RunRequest) -> StudioError | None:
    """The error that the way a run ended stands for, or None when it reached its goal."""
    again = f"studio run {asked.pool} --headless"
    match summary.stopped:
        case StopReason.CANCELLED:
            kept = f"{counted(summary.rounds, 'round')} of this session {'is' if summary.rounds == 1 else 'are'}"
            return Interrupted(f"stopped; {kept} in {asked.pool}", f"`{again}` goes on where it was")
        case StopReason.STALLED:
            top = ", ".join(f"{reason} {count}" for reason, count in summary.rejected.most_common(3)) or "the model wrote no candidates"
            return Stalled(
                f"the last rounds brought no new task into {asked.pool} (rejected: {top})",
                stall_hint(summary.rejected),
            )
        case _:
            return None


def _require_open_target(path: Path, pool: Pool | None, options: RunOptions) -> None:
    if pool is None or options.target is None or pool.rounds.unfinished() is not None:
        return
    generated = pool.figures.generated()
    if generated >= options.target:
        raise UsageError(
            f"{path} has {counted(generated, 'generated task')}, the target of {options.target} is reached already",
            "name a higher --target",
        )


def _announce(console: Console, started: OpenRun) -> None:
    pool, run, engine = started.pool, started.run, started.engine.info
    say(
        console,
        f"{'going on with' if run.resumed else 'starting'} run {run.id} in {display_line(str(pool.path))}: "
        f"{display_line(engine.model.name)}, profile {run.method.profile}, seed {display_line(run.seed)}, {_setup_words(engine)}, "
        f"asked in {run.method.asking}",
    )
    if started.answering is not None:
        answering = started.answering.info
        say(console, f"tasks are answered by {display_line(answering.model.name)}, {_setup_words(answering)}, asked in chat")
    if held := pool.evaluations.hold_out():
        say(console, f"{counted(held.held, 'seed')} {'is' if held.held == 1 else 'are'} held out for evaluation")
    for notice in started.notices:
        say(console, f"note: {display_line(notice)}")


def _setup_words(engine: EngineInfo) -> str:
    on_gpu = f", {engine.layers_offloaded} of {engine.layers} layers on the GPU" if engine.layers_offloaded else ""
    return f"{display_line(engine.backend)}, {engine.parallel} sequences{on_gpu}"


def _drain(session: Session, asked: RunRequest, run: Run, pool: Pool, console: Console) -> Summary:
    options = asked.configuration.options
    summary = Summary(str(asked.pool), run.id)
    generated = pool.figures.generated()
    started = time.monotonic()
    with cancelled_by_signals(session.cancel, console), Progress(console, generated=generated, target=options.target) as progress:
        for event in session.run(Goal(options.target, options.rounds)):
            summary.add(event)
            summary.seconds = time.monotonic() - started
            progress.show(event, summary)
    return summary


@contextmanager
def cancelled_by_signals(cancel: CancelToken, console: Console) -> Iterator[None]:
    """Within this block Ctrl-C and SIGTERM cancel the session; a second one ends the process at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if cancel.cancelled:
            raise KeyboardInterrupt
        cancel.cancel()
        # A signal in the middle of a line being written finds the stream in use: how the run ended is told at its end.
        with suppress(RuntimeError):
            say(console, "stopping: what is under way is given up, what was stored before is kept")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
