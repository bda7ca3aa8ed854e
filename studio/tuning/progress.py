"""The progress of a training: a live bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from studio.engine.llama.setup import gigabytes
from studio.text import display_line
from studio.tuning.events import Event, Finished, Loading, Opened, Prepared, Resumed, Step, Validated, Waiting

_LINE_EVERY_S = 15.0


class TrainingProgress:
    """Shows step of steps, losses, tokens a second, time left and memory."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._step: Step | None = None
        self._validation = ""
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Opened(name, folder, resumed):
                self._note(f"{'going on with' if resumed else 'starting'} the training {name} in {folder}")
            case Prepared():
                self._note(_prepared(event))
            case Loading(seldom):
                self._note("taking the weights out of the GGUF file ..." if seldom else "loading the weights ...")
            case Resumed(step, _):
                self._note(f"going on after step {step}")
            case Validated(point, best):
                self._validation = f"{point.loss:.3f}{' (best)' if best else ''}"
                self._note(f"step {point.step}: validation loss {self._validation}")
            case Step():
                self._step = event
                if self._live is None and time.monotonic() - self._said >= _LINE_EVERY_S:
                    self._note(self._figures(event))
            case Waiting(cause):
                self._note(f"the adapter is made; waiting to record it: {cause}")
            case Finished():
                self._note(_finished(event))
            case _:
                return
        if self._live and self._step:
            self._live.update(self._view(self._step))

    def _note(self, line: str) -> None:
        self._said = time.monotonic()
        self._console.print(display_line(line), markup=False, highlight=False, soft_wrap=True)

    def _view(self, step: Step) -> Group:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_row(ProgressBar(total=step.steps, completed=step.point.step, width=30), Text(f"step {step.point.step} of {step.steps}"))
        return Group(grid, Text(self._figures(step)))

    def _figures(self, step: Step) -> str:
        minutes, seconds = divmod(round(step.seconds_left), 60)
        left = f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left"
        losses = f"loss {step.point.loss:.3f}" + (f", validation {self._validation}" if self._validation else "")
        speed = f"{step.tokens_per_s:.0f} tokens/s"
        return f"step {step.point.step} of {step.steps} · {losses} · {speed} · {left} · {gigabytes(step.memory)} of memory"


def _prepared(event: Prepared) -> str:
    too_long = f", {event.too_long} left out as too long" if event.too_long else ""
    return (
        f"{event.train} examples to train on, {event.validation} to validate{too_long}: {event.tokens:,} tokens, {event.steps} steps on "
        f"{event.device} in {event.precision}, about {gigabytes(event.memory)} of memory at most"
    )


def _finished(event: Finished) -> str:
    validation = [each.loss for each in event.losses if each.side == "validation"]
    change = f"validation loss {validation[0]:.3f} -> {min(validation):.3f}, " if validation else ""
    early = ", stopped early" if event.ended == "early_stop" else ""
    size = f"{event.adapter_bytes / 1e6:.1f} MB"
    return f"{event.name}: {change}weights of step {event.step}{early}, {event.seconds:.0f} s; adapter {event.adapter} ({size})"
