"""A pane of figures that take a while: computed on another thread when the pane is looked at, and kept until the pool changes."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from studio.errors import StudioError
from studio.pool.pool import Queries
from studio.text import display_line
from studio.tui.latest import start_latest
from studio.tui.pool_access import PoolAccess


class FiguresPane(VerticalScroll):
    """Shows what `figures` makes of the pool. Nothing is read before `look`; a pane that goes gives its question up."""

    DEFAULT_CSS = """
    FiguresPane { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    FiguresPane Static { height: auto; width: 100%; }
    """

    def __init__(self, path: Path, opened: Callable[[Path], Queries], *, id: str) -> None:
        super().__init__(id=id)
        self._access = PoolAccess(path, opened)
        self._version = -1
        self._looked = self._took_s = 0.0
        self.waiting = False
        self._shown = Static("", markup=False)

    def compose(self) -> ComposeResult:
        yield self._shown

    def on_unmount(self) -> None:
        self._access.close()

    def look(self) -> None:
        """Bring the figures up to date, unless that is under way or was so costly that it has to wait a little."""
        if not self.waiting and time.monotonic() - self._looked >= 5 * self._took_s:
            self.waiting = True
            if self._version == -1:
                self._shown.update(Content("computing …"))
            start_latest(self, self.id or "", self._look)

    @abstractmethod
    def figures(self, pool: Queries) -> RenderableType:
        """Compute what is shown; on a thread that is not the screen's. Raises StudioError with what is to be said instead."""

    async def _look(self) -> None:
        before = self._version

        def question(pool: Queries) -> tuple[int, RenderableType | None]:
            version = pool.version()
            return version, None if version == before else self.figures(pool)

        started = time.monotonic()
        try:
            version, shown = await self._access.ask(question)
        except StudioError as error:
            self._shown.update(Content(display_line(f"{error.message}: {error.hint}" if error.hint else error.message)))
            return
        finally:
            self.waiting = False
            self._looked = time.monotonic()
            self._took_s = self._looked - started
        self._version = version
        if shown is not None:
            self._shown.update(shown)
