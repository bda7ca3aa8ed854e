"""The progress of a headless run: a live bar on a terminal, a line a round elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
    TextStreamed,
)
from studio.loop.summary import Summary
from studio.text import display_line

REASONS_SHOWN = 4


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
        self._done = self._sent = 0
        self._streaming: Counter[int] = Counter()
        self._drafts = 0
        self._falling: Counter[str] = Counter()
        self._retried: dict[str, float] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def show(self, event: Event, summary: Summary) -> None:
        """Take in `event`; `summary` has it already."""
        match event:
            case RoundStarted(number, _):
                self._round = number
            case StageStarted(_, stage):
                self._stage, self._done, self._sent = str(stage), 0, 0
                self._streaming.clear()
                self._retried.clear()
            case RequestsSent(_, count):
                self._sent = count
            case TextStreamed(_, ordinal, _):
                self._streaming[ordinal] += 1
            case RequestFinished(_, ordinal, _):
                self._done += 1
                del self._streaming[ordinal]
            case CandidateDecided():
                self._drafts += event.task_id is not None
                self._falling.update([event.reason] if event.task_id is None else [])
            case EngineRestarted(_, attempt, cause):
                self._done = 0
                self._streaming.clear()
                self._note(f"the engine stopped ({display_line(cause, 200)}) and was started again, attempt {attempt}")
            case RequestRetried(_, ordinal, attempt, cause, wait):
                del self._streaming[ordinal]
                # Many requests fail of one cause together: said once a stage, and again when the waits have become longer by half.
                if cause not in self._retried or wait > max(1.5 * self._retried[cause], 5.0):
                    self._retried[cause] = wait
                    again = f"is sent again {event.when}, attempt {attempt}"
                    self._note(f"a request failed ({display_line(cause, 200)}) and {again}")
            case Noted(text):
                self._note(f"note: {display_line(text)}")
            case RoundFinished():
                self._generated = event.generated
                self._drafts = 0
                self._falling.clear()
                if self._live is None:
                    self._note(f"{self._counts()} · {self._rates(summary)} · {self._reasons(summary)}")
            case _:
                return
        if self._live:
            self._live.update(self._view(summary))

    def _note(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _view(self, summary: Summary) -> Group:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        bar = ProgressBar(total=self._target, completed=self._generated, width=30, pulse=self._target is None)
        work = f"{self._stage} {self._done}/{self._sent}" if self._sent else self._stage
        grid.add_row(bar, Text(f"{self._counts()} · {work}"))
        return Group(grid, Text(self._rates(summary)), Text(self._reasons(summary)))

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
