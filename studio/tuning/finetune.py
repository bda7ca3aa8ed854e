"""A whole training as its user sees it: what is checked first, its data, the process that trains, its record; and how it is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from studio.engine.api import CancelToken
from studio.engine.catalog import find_model, identify
from studio.engine.chat_template import has_chat_template
from studio.engine.llama.setup import gigabytes
from studio.engine.model_file import read_model
from studio.engine.remote.address import is_address
from studio.errors import ModelError, UsageError
from studio.pool.pool import Pool, Queries
from studio.text import display_line, say
from studio.tuning.data import VARIED
from studio.tuning.job import Ended, Event, Finished, Loading, Opened, Prepared, Resumed, Step, TrainingSettings, Validated, Waiting
from studio.tuning.lora import check_architecture
from studio.tuning.prompt_format import AUTO, CHAT
from studio.tuning.training import Asked, Recorder, open_training, trial
from studio.tuning.weights import check_folder
from studio.tuning.worker import training_events

_LINE_EVERY_S = 15.0
PACKAGES = ("torch", "transformers", "peft", "gguf", "safetensors")


def require_extra() -> None:
    """Raise UsageError, with how to install it, when a package of the extra is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"finetuning needs packages that are not installed: {', '.join(missing)}",
            "pip install 'self-instruct-studio[train]'; in a checkout: uv sync --extra train",
        )


def check(
    pool: Path,
    settings: TrainingSettings,
    *,
    model: str = "",
    weights: Path | None = None,
    name: str = "",
    output: Path | None = None,
    threads: int = 0,
) -> Asked:
    """Return what is asked for, resolved; `model` is a name or path as everywhere, `weights` a Hugging Face folder of the same model.

    Raises UsageError and ModelError for what can never be trained, before anything is read.
    """
    require_extra()
    if is_address(model):
        raise UsageError("a model on another machine cannot be finetuned here", "name a GGUF file with --model")
    path = find_model(model)
    base = read_model(path)
    check_architecture(base)
    if base.shards and weights is None:
        merged = f"llama-gguf-split --merge {base.path} WHOLE.gguf"
        raise ModelError(f"{path}: weights cannot be taken out of a split model", f"merge it first: {merged}; or name its --weights folder")
    if weights is not None:
        check_folder(weights, base)
    if settings.format == AUTO:
        # An instruct model goes on in the template it was made with; any other learns the method's formats.
        settings = settings.model_copy(update={"format": CHAT if has_chat_template(base) else VARIED})
    return Asked(pool, path, identify(path), base, settings, str(weights.absolute()) if weights else "", name, output, threads)


def finetune(asked: Asked, cancel: CancelToken) -> Iterator[Event]:
    """Begin the training or go on with it; ends with `Finished`, or with `Ended("interrupted")` after `cancel`.

    The pool is held for moments only, see `training`. Raises StudioError subclasses; everything up to the last checkpoint is kept
    then.
    """
    with Pool.open(asked.pool) as pool:
        training = open_training(pool, asked)
    yield Opened(training.name, training.job.folder, training.number is not None, training.notes)
    recorder: Recorder | None = None
    with closing(training_events(training.job, cancel)) as events:
        for event in events:
            if isinstance(event, Prepared):
                recorder = Recorder(asked, training, event)
            elif recorder is not None:
                recorder.take(event)
            yield event
    if recorder is not None and isinstance(event, Ended) and event.reason != "interrupted":
        yield from recorder.finish(event, cancel)


def plan(asked: Asked) -> tuple[Prepared, tuple[str, ...]]:
    """Return what the training would be on this machine, and the notes on its data; nothing is written. Raises StudioError subclasses."""
    with TemporaryDirectory() as folder, Queries.open(asked.pool) as pool:
        job, notes = trial(pool, asked, Path(folder))
        with closing(training_events(job, CancelToken())) as events:
            prepared = next(events)
    assert isinstance(prepared, Prepared)
    return prepared, notes


class TrainingProgress:
    """Shows step of steps, losses, tokens a second, time left and memory: a live bar on a terminal, lines elsewhere."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(30), TextColumn("{task.description}", markup=False))
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._bar: TaskID | None = None
        self._validation = ""
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Opened(name, folder, resumed, notes):
                self.note(f"{'going on with' if resumed else 'starting'} the training {name} in {folder}", *notes)
            case Prepared():
                self.note(_prepared(event), *event.why)
            case Loading(seldom):
                self.note("taking the weights out of the GGUF file ..." if seldom else "loading the weights ...")
            case Resumed(step, _):
                self.note(f"going on after step {step}")
            case Validated(point, best):
                self._validation = f"{point.loss:.3f}{' (best)' if best else ''}"
                self.note(f"step {point.step}: validation loss {self._validation}")
            case Step():
                self._step(event)
            case Waiting(cause):
                self.note(f"the adapter is made; waiting to record it: {cause}")
            case Finished():
                self.note(_finished(event))

    def note(self, *lines: str) -> None:
        """Print lines above the bar."""
        self._said = time.monotonic()
        for line in lines:
            say(self._bars.console, display_line(line))

    def _step(self, step: Step) -> None:
        validation = f", validation {self._validation}" if self._validation else ""
        left = timedelta(seconds=round(step.seconds_left))
        lines = (
            f"step {step.point.step} of {step.steps} · loss {step.point.loss:.3f}{validation}",
            f"{step.tokens_per_s:.0f} tokens/s · {left} left · {gigabytes(step.memory)} of memory",
        )
        if self._bar is None:
            self._bar = self._bars.add_task("", total=step.steps)
        self._bars.update(self._bar, completed=step.point.step, description="\n".join(lines))
        if self._bars.disable and time.monotonic() - self._said >= _LINE_EVERY_S:
            self.note(" · ".join(lines))


def _prepared(event: Prepared) -> str:
    too_long = f", {event.too_long} left out as too long" if event.too_long else ""
    again = " with gradient checkpointing" if event.checkpointing else ""
    beside = f" and {gigabytes(event.host_memory)} of the machine's" if event.device == "cuda" else ""
    return (
        f"{event.train} examples to train on, {event.validation} to validate{too_long}: {event.tokens:,} tokens, {event.steps} steps on "
        f"{event.device} in {event.precision}, {event.room:,} tokens at once{again}, "
        f"about {gigabytes(event.memory)} of memory{beside} at most"
    )


def _finished(event: Finished) -> str:
    validation = [each.loss for each in event.losses if each.side == "validation"]
    change = f"validation loss {validation[0]:.3f} -> {min(validation):.3f}, " if validation else ""
    early = ", stopped early" if event.ended == "early_stop" else ""
    size = f"{event.adapter_bytes / 1e6:.1f} MB"
    took = f"{event.seconds:.0f} s, {gigabytes(event.memory)} of memory of {gigabytes(event.planned)} planned"
    return f"{event.name}: {change}weights of step {event.step}{early}, {took}; adapter {event.adapter} ({size})"
