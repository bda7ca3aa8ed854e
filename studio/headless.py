"""The session without a screen: a progress bar on stderr, and the sum of it for whoever called."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from studio.engine.api import CancelToken, EngineInfo
from studio.engine.open import open_engine
from studio.engine.options import EngineOptions
from studio.errors import Interrupted, PoolError, Stalled, StudioError, UsageError
from studio.headless_progress import Progress
from studio.loop.configuration import Configuration, RunOptions
from studio.loop.events import StopReason
from studio.loop.runs import Intent, Run, begin, intent, stored_engine
from studio.loop.session import Goal, Session
from studio.loop.summary import Summary
from studio.pool.store import Pool
from studio.records import SeedTask
from studio.seeds.bundled import bundled_seeds
from studio.seeds.reading import read_tasks
from studio.text import display_line


@dataclass(frozen=True, slots=True)
class HeadlessRun:
    """One headless run as it was asked for. `seeds` are the files a new pool starts from; none means the bundled ones."""

    pool: Path
    configuration: Configuration
    seeds: tuple[Path, ...] = ()
    force: bool = False


def run_headless(asked: HeadlessRun, console: Console) -> Summary:
    """Open or create the pool, load the model, generate until the goal, and return what was done.

    Everything that can be wrong with pool, settings and seeds is found before the model is loaded; a new pool is made after that.
    Raises StudioError subclasses; for how the run ended see `verdict_of`.
    """
    options = asked.configuration.options
    pool = Pool.open(asked.pool) if asked.pool.exists() else None
    try:
        wanted = intent(pool, asked.configuration, force=asked.force)
        seeds = _seeds(asked, pool)
        _require_open_target(asked.pool, pool, options)
        model = options.model or _model_of(wanted)
        console.print(f"loading {display_line(model) or 'the bundled model'} ...", markup=False, highlight=False, soft_wrap=True)
        engine = open_engine(model, _engine_options(options, wanted))
        try:
            pool = pool or Pool.create(asked.pool, seeds)
            run = begin(pool, wanted, engine.info, force=asked.force)
            session = Session(pool, engine, run.method, run.seed, run.id)
            _announce(console, pool, run, engine.info)
            return _drain(session, asked, run, pool, console)
        finally:
            engine.close()
    finally:
        if pool is not None:
            pool.close()


def verdict_of(summary: Summary, asked: HeadlessRun) -> StudioError | None:
    """The error that the way a run ended stands for, or None when it reached its goal."""
    again = f"studio run {asked.pool} --headless"
    match summary.stopped:
        case StopReason.CANCELLED:
            return Interrupted(f"stopped; {summary.rounds} rounds of this session are in {asked.pool}", f"`{again}` goes on where it was")
        case StopReason.STALLED:
            top = ", ".join(f"{reason} {count}" for reason, count in summary.rejected.most_common(3)) or "the model wrote no candidates"
            return Stalled(
                f"the last rounds brought no new task into {asked.pool} (rejected: {top})",
                "try another --seed with --force, a higher temperature (--set sampling.instructions.temperature=1.0), or a larger --model",
            )
        case _:
            return None


def _seeds(asked: HeadlessRun, pool: Pool | None) -> Sequence[SeedTask]:
    if pool is not None:
        if asked.seeds:
            raise UsageError(f"{asked.pool} exists already, --seeds is for a new pool", "use `studio import` to add tasks to it")
        return ()
    folder = asked.pool.parent
    if not folder.is_dir():
        raise PoolError(f"the folder {folder} for the pool does not exist", f"create it first: mkdir -p {folder}")
    return [task for path in asked.seeds or (bundled_seeds(),) for task in read_tasks(path)]


def _model_of(wanted: Intent) -> str:
    """What a resumed run was made with: the file where it is still there, else a model of that name; empty for a new pool."""
    if wanted.stored is None:
        return ""
    opened = str(stored_engine(wanted.stored).get("model", ""))
    return opened if "://" in opened or Path(opened).is_file() else wanted.stored.model.name


def _engine_options(options: RunOptions, wanted: Intent) -> EngineOptions:
    """A resumed run keeps its number of sequences and its context unless others are asked for: both shape what is computed."""
    before = stored_engine(wanted.stored) if wanted.stored is not None and not wanted.differences else {}
    return EngineOptions(
        options.gpu_layers,
        options.context or before.get("context_tokens", 0),
        options.threads,
        options.parallel or before.get("parallel", 0),
    )


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


def _drain(session: Session, asked: HeadlessRun, run: Run, pool: Pool, console: Console) -> Summary:
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
        console.print("stopping: the stage under way is given up, everything before it is kept", markup=False, highlight=False)

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
