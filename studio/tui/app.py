"""The application: screens, theme, the runner, and what is everywhere the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.theme import ThemeProvider

from studio import guide
from studio.engine.catalog import DEFAULT_MODEL
from studio.engine.model_file import parted
from studio.engine.opening import Opener, open_engine
from studio.errors import unexpected
from studio.launch import RunRequest
from studio.loop.asking_anew import FIXED
from studio.loop.runs import Configuration
from studio.text import display_line
from studio.tui.base import Confirm, Page, confirm, lay_over, leaving, start_latest
from studio.tui.dialogs.export import ExportDialog
from studio.tui.dialogs.models import ModelDialog
from studio.tui.dialogs.settings import SettingsScreen
from studio.tui.help_log import ActivityLog, HelpDialog, LogScreen
from studio.tui.insight.screen import InsightScreen
from studio.tui.keys import bind
from studio.tui.picker import RunChosen, StartScreen, remember
from studio.tui.pool.screen import PoolScreen
from studio.tui.round.drawing import RunOpened
from studio.tui.round.screen import StudioScreen
from studio.tui.runner import Runner, RunnerState
from studio.tui.steering import SteeredScreen
from studio.tui.study.entry import start_comparison, start_review
from studio.tui.study.screen import StudyScreen
from studio.tui.terminal import TellingApp, wear_theme
from studio.tui.widgets.fields import Palette
from studio.tui.widgets.frame import hint_if_small


@dataclass
class RunnerSignal(Message):
    """The runner has something to tell that should not wait for the next tick."""


_QUIT = "Quit?"
_UNDER_WAY = "A stage is under way. It is given up, and can be played again; everything before it is kept."
_SOON_S = 0.3
"""What is over sooner needs no word."""
PLACES = ("studio", "pool", "insight")
_MODES = ("start", *PLACES)
_OFFERED = {
    "export": "Pool: export",
    "review": "Pool: review",
    "compare": "Pool: compare",
    "settings": "View: settings",
    "log": "View: log",
    "change_theme": "View: change the theme",
    "help": "View: help",
    "pools": "Studio: another pool",
    "models": "Studio: another model",
    "quit": "Studio: quit",
}
"""Actions that the palette offers on every screen, and what it calls them."""


class StudioApp(TellingApp):
    """The terminal studio: with a run it goes straight in, without one it asks which pool."""

    TITLE = "Self-Instruct Studio"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012  (Textual's own type)
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (20, "-short"), (24, "-normal"), (34, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("studio", "show_mode('studio')", "Studio", "The studio: watch and step the round.", show=False),
        bind("pool", "show_mode('pool')", "Pool", "The pool: find, read and judge its tasks.", show=False),
        bind("insight", "show_mode('insight')", "Insight", "Figures, the paper's beside them, what-if.", show=False),
        bind("export", "export", "Export", "Write the pool as a dataset.", show=False),
        bind("review", "review", "Review", "Rate a sample of the pool, three questions a task.", show=False),
        bind("compare", "compare", "Compare", "Grade two models' answers, blind, as they were evaluated.", show=False),
        bind("pools", "pools", "Pools", "Back to the picker: another pool, or a new one.", show=False),
        bind("models", "models", "Models", "Go on with another model.", show=False),
        bind("settings", "settings", "Settings", "Every parameter of this run, explained and set for one round.", show=False),
        bind("log", "log", "Log", "What has happened since the start.", show=False),
        bind("commands", "command_palette", "Commands", "Find every command by its name.", show=False, priority=True),
        bind("help", "help", "Help", "Explain the focused part."),
        bind("quit", "quit", "Quit", "Quit; nothing is lost."),
        bind("quit-now", "quit", "Quit", "Quit, also while one types and over a window.", show=False, priority=True),
    ]

    def __init__(self, asked: RunRequest | None, configuration: Configuration, opener: Opener = open_engine) -> None:
        super().__init__()
        self._asked = asked
        self._configuration = configuration
        self._opener = opener
        self.runner: Runner | None = None
        self.studio: StudioScreen | None = None
        self.activity = ActivityLog()
        self._picking = False
        """Whether there is a picker, shown or not."""

    def on_mount(self) -> None:
        wear_theme(self)
        if self._asked is not None:
            self.open_run(self._asked)
        else:
            self._show_picker()

    def _show_picker(self) -> None:
        self.add_mode("start", lambda: StartScreen(self._configuration))
        self._picking = True
        self.switch_mode("start")

    @on(RunChosen)
    def _chosen(self, event: RunChosen) -> None:
        self.open_run(event.asked)

    def open_run(self, asked: RunRequest) -> None:
        """Show the studio screen, and only after its first frame open the pool and load the model. There is one pool at a time."""
        if self.runner is not None:
            return
        self.runner = Runner(asked, self._signal, opener=self._opener)
        self.studio = studio = StudioScreen(self.runner, self.activity)
        steerer, path = studio.steerer, asked.pool
        self.add_mode("studio", lambda: studio)
        self.add_mode("pool", lambda: PoolScreen(path, steerer=steerer))
        self.add_mode("insight", lambda: InsightScreen(path, steerer=steerer))
        self.switch_mode("studio")
        studio.call_after_refresh(self.runner.start)

    def _signal(self) -> None:
        """Called from the runner's thread; posting a message is the one thing that is safe there."""
        with suppress(RuntimeError):  # The app has just ended, and with it the loop that would take the message.
            self.post_message(RunnerSignal())

    @on(RunOpened)
    def _opened(self, event: RunOpened) -> None:
        remember(event.pool)

    def on_runner_signal(self) -> None:
        """Let the studio screen take in what happened, whatever screen is shown."""
        if self.studio is not None and self.studio.is_mounted:
            self.studio.collect()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Other screens are for pools that are there; a new one is made when its model is."""
        if leaving(self.screen):
            # Keys behind the one that quits: what they open would not be put together any more.
            return action == "quit"
        if self.studio is not None and self.studio.steerer.opening:
            return action not in ("show_mode", "export", "review", "compare", "settings", "log", "pools", "models", "help")
        match action:
            case "show_mode" | "export":
                there = self.runner is not None and not self.screen.is_modal
                return there and (parameters == ("studio",) or self._pool_is_there())
            case "pools" | "models":
                return not self.screen.is_modal and self.runner is not None
            case "settings":
                return not self.screen.is_modal and self.studio is not None and self.studio.method is not None
            case "log":
                return not self.screen.is_modal
            case "review" | "compare":
                # Not over a study: what is rated on top would not be seen below.
                return not self.screen.is_modal and not isinstance(self.screen, StudyScreen) and self._pool_is_there()
            case _:
                return True

    def _pool_is_there(self) -> bool:
        return self.runner is not None and self.runner.asked.pool.is_file()

    def action_show_mode(self, mode: str) -> None:
        """Go to another screen; the window may have been resized meanwhile, and Textual gives the class of a size to the shown one only.

        The screen is not sent a `Resize` for that: with one of another size still on its way, the two would call each other up for ever.
        """
        self.switch_mode(mode)
        fit_classes(self.screen, self.size)
        hint_if_small(self.screen_stack, self.size)

    def on_resize(self, event: Resize) -> None:
        """The window has another size, which `size` tells only afterwards."""
        hint_if_small(self.screen_stack, event.size)

    def action_export(self) -> None:
        if self.runner is not None:
            self._lay(ExportDialog(self.runner.asked.pool))

    def action_review(self) -> None:
        if self.studio is not None and not self._went_to_study():
            start_review(self, self.studio.steerer)

    def action_compare(self) -> None:
        if self.studio is not None and not self._went_to_study():
            start_comparison(self, self.studio.steerer, self.studio.runner.asked.pool.name)

    def _went_to_study(self) -> bool:
        """Go to the study that is open over another screen: two would not know of each other's answers."""
        for mode in _MODES:
            if any(isinstance(each, StudyScreen) for each in self._stack_of(mode)):
                self.action_show_mode(mode)
                return True
        return False

    def _stack_of(self, mode: str) -> Sequence[Screen[Any]]:
        """The screens of a mode; one that was never gone to has none."""
        with suppress(KeyError):
            return self.get_screen_stack(mode)
        return ()

    def _lay(self, made: Screen[Any]) -> None:
        """Show a window of which there is one at most."""
        if not any(type(each) is type(made) for each in self.screen_stack):
            self.push_screen(made)

    def action_command_palette(self) -> None:
        # Without an id, which one that is still being closed has.
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def search_themes(self) -> None:
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def action_help(self) -> None:
        self._lay(HelpDialog(self.screen))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every command has the form `Group: verb`, and only those that apply are there."""
        if isinstance(screen, SteeredScreen):
            yield from screen.commands()
        # What the first key of each says, of quitting that of `q`.
        said = {each.action: each.tooltip.rstrip(".") for each in reversed(self.BINDINGS) if isinstance(each, Binding)}
        for mode in PLACES:
            if self.check_action("show_mode", (mode,)) and mode != self.current_mode:
                yield SystemCommand(f"Go: {mode}", said[f"show_mode('{mode}')"], partial(self.action_show_mode, mode))
        comparable = self.studio is not None and self.studio.comparable
        for action, title in _OFFERED.items():
            if self.check_action(action, ()) and (comparable or action != "compare"):
                yield SystemCommand(title, said.get(action, "Choose colours"), getattr(self, f"action_{action}"))
        if self.check_action("help", ()):
            for name in guide.TOPICS:
                yield SystemCommand(f"Guide: {name}", guide.title(name), lambda name=name: self._lay(HelpDialog(name)))

    def _unless_lost(self, question: str, then: Callable[[], object]) -> None:
        """Go on with `then`; where something would be lost by it, only when the user says so."""
        playing = self.runner is not None and self.runner.state is RunnerState.RUNNING and not self.runner.bringing
        words = [screen.unsaved for mode in _MODES for screen in self._stack_of(mode) if isinstance(screen, Page)]
        words.append(_UNDER_WAY if playing else "")
        if any(words):
            confirm(self.screen, question, "\n".join(filter(None, words)), then)
        else:
            then()

    async def action_quit(self) -> None:
        """Ask where something would be lost, then leave; asked once more, leave at once."""
        asking = isinstance(self.screen, Confirm) and self.screen.question == _QUIT
        if self.quitting or asking:
            self.leave()
        else:
            self._unless_lost(_QUIT, self.leave)

    def leave(self) -> None:
        """Stop what plays and close the pool while the screen is still drawn; asked once more, leave at once."""
        at_once = self.runner is None or self.quitting
        self.quitting = True
        if at_once:
            self.exit()
            return
        self.set_timer(_SOON_S, lambda: self.notify("Closing the pool …", markup=False))
        start_latest(self, "leave", self._close_and_exit)

    async def _close_and_exit(self) -> None:
        if self.runner is not None:
            await asyncio.to_thread(self.runner.close)
        self.exit()

    def action_pools(self) -> None:
        self._unless_lost("Leave this pool?", lambda: start_latest(self, "pools", self._go_on_with, None))

    def action_models(self) -> None:
        """Choose another model to go on with: the pool begins a run with it."""
        if self.studio is None or not self.studio.steerer.ready(self.studio):
            return
        asked = self.studio.runner.asked

        def then(model: str | None) -> None:
            if model is not None:
                name = model or DEFAULT_MODEL
                words = f"The pool begins a new run with {display_line(name, 100)}. A round that is not finished is left as it is."
                confirm(self.screen, "Go on with another model?", words, lambda: go(name))

        def go(name: str) -> None:
            file, adapter = parted(name)
            options = asked.configuration.options.model_copy(update={"model": file, "adapter": adapter, "hold_out": 0.0})
            again = RunRequest(asked.pool, replace(asked.configuration, options=options), force=True)
            start_latest(self, "pools", self._go_on_with, again)

        lay_over(self.screen, ModelDialog(self.studio.model_file), then)

    async def _go_on_with(self, asked: RunRequest | None) -> None:
        """Close the pool that is open, then open the run `asked` for, or show the picker."""
        runner, self.runner, self.studio = self.runner, None, None
        if runner is not None and not await asyncio.to_thread(runner.close):
            self.notify("The model is still being loaded; the pool is closed as soon as it is there.", severity="warning", markup=False)
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        if self._picking:
            # One that was left long ago: other pools may have been the last ones since.
            await self.remove_mode("start")
        self._show_picker()
        for mode in PLACES:
            await self.remove_mode(mode)
        if asked is not None:
            self.open_run(asked)

    def fault(self, error: Exception) -> None:
        """Tell of an error that nobody took, and keep it in the log."""
        told = unexpected(error)
        self.activity.add(told.message, error=True)
        super().fault(told)

    def action_settings(self) -> None:
        studio = self.studio
        if studio is not None and studio.method is not None:
            screen = SettingsScreen(
                studio.method,
                fixed=FIXED,
                about="for one round",
                store=studio.set_for_round(),
                ready=lambda: studio.steerer.ready(studio),
            )
            self._lay(screen)

    def action_log(self) -> None:
        self._lay(LogScreen(self.activity))


def fit_classes(screen: Screen[Any], size: Size) -> None:
    """Give `screen` the classes of a window of `size` cells, as a `Resize` does."""
    widths, heights = screen.HORIZONTAL_BREAKPOINTS, screen.VERTICAL_BREAKPOINTS
    for length, breakpoints in (
        (size.width, screen.app.HORIZONTAL_BREAKPOINTS if widths is None else widths),
        (size.height, screen.app.VERTICAL_BREAKPOINTS if heights is None else heights),
    ):
        reached = [name for least, name in sorted(breakpoints or ()) if length >= least][-1:]
        for _, name in breakpoints or ():
            screen.set_class(name in reached, name)
