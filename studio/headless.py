"""The session without a screen: a progress bar on stderr, and the sum of it for whoever called."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from studio.engine.api import CancelToken, EngineInfo
from studio.errors import Interrupted, Stalled, StudioError, UsageError
from studio.headless_progress import Progress
from studio.loop.configuration import RunOptions
from studio.loop.events import StopReason
from studio.loop.reasons import stall_hint
from studio.loop.runs import Run
from studio.loop.session import Goal, Session
from studio.loop.summary import Summary
from studio.opening import Opening, RunRequest
from studio.pool.pool import Pool
from studio.text import display_line


def run_headless(asked: RunRequest, console: Console) -> Summary:
    """Open or create the pool, load the model, generate until the goal, and return what was done.

    Everything that can be wrong with pool, settings and seeds is found before the model is loaded; a new pool is made after that.
    Raises StudioError subclasses; for how the run ended see `verdict_of`.
    """
    with Opening(asked) as opening:
        _require_open_target(asked.pool, opening.pool, asked.configuration.options)
        for note in opening.notes:
            console.print(f"note: {display_line(note)}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"loading {display_line(opening.model) or 'the bundled model'} ...", markup=False, highlight=False, soft_wrap=True)
        started = opening.start()
        session = started.session()
        _announce(console, started.pool, started.run, started.engine.info)
        return _drain(session, asked, started.run, started.pool, console)


def verdict_of(summary: Summary, asked: RunRequest) -> StudioError | None:
    """The error that the way a run ended stands for, or None when it reached its goal."""
    again = f"studio run {asked.pool} --headless"
    match summary.stopped:
        case StopReason.CANCELLED:
            return Interrupted(f"stopped; {summary.rounds} rounds of this session are in {asked.pool}", f"`{again}` goes on where it was")
        case StopReason.STALLED:
            top = ", ".join(f"{reason} {count}" for reason, count in summary.rejected.most_common(3)) or "the model wrote no candidates"
            return Stalled(
                f"the last rounds brought no new task into {asked.pool} (rejected: {top})",
                stall_hint(summary.rejected),
            )
        case _:
            return None


def _require_open_target(path: Path, pool: Pool | None, options: RunOptions) -> None:
    if pool is None or options.target is None or pool.reader.open_round() is not None:
        return
    generated = pool.reader.generated()
    if generated >= options.target:
        raise UsageError(
            f"{path} has {generated} generated tasks, the target of {options.target} is reached already", "name a higher --target"
        )


def _announce(console: Console, pool: Pool, run: Run, engine: EngineInfo) -> None:
    on_gpu = f", {engine.layers_offloaded} of {engine.layers} layers on the GPU" if engine.layers_offloaded else ""
    words = "going on with" if run.resumed else "starting"
    console.print(
        f"{words} run {run.id} in {display_line(str(pool.path))}: {display_line(engine.model.name)}, profile {run.method.profile}, "
        f"seed {display_line(run.seed)}, {display_line(engine.backend)}, {engine.parallel} sequences{on_gpu}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if held := pool.reader.hold_out():
        console.print(f"{held.held} seeds are held out for evaluation", markup=False, highlight=False)
    for notice in engine.notices:
        console.print(f"note: {display_line(notice)}", markup=False, highlight=False, soft_wrap=True)


def _drain(session: Session, asked: RunRequest, run: Run, pool: Pool, console: Console) -> Summary:
    options = asked.configuration.options
    summary = Summary(str(asked.pool), run.id)
    generated = pool.reader.generated()
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
            console.print("stopping: what is under way is given up, what was stored before is kept", markup=False, highlight=False)

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
