"""The picker: which pool to go on with, or a form for a new one; and the list of the pools that were opened last."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from studio.engine.catalog import DEFAULT_MODEL
from studio.engine.model_file import parted, with_adapter
from studio.errors import PoolError, StudioError, UsageError
from studio.launch import Opening, RunRequest
from studio.loop.runs import NO_MODEL, Configuration
from studio.loop.settings import DEFAULT_PROFILE, PROFILES, profile
from studio.paths import app_folder, user_path
from studio.pool.files import check_header
from studio.pool.pool import Queries, check_place
from studio.tui.base import ErrorDialog, Row, lay_over, start_latest
from studio.tui.dialogs.importing import FileChoice, SeedsDialog
from studio.tui.dialogs.models import ModelDialog
from studio.tui.dialogs.settings import SettingsScreen
from studio.tui.keys import bind
from studio.tui.widgets.fields import Choice, SafeInput
from studio.tui.widgets.frame import KeyBar, TooSmall, clip

KEPT = 12


def state_file() -> Path:
    return app_folder("state") / "recent.json"


def recent_pools() -> list[Path]:
    """Return the pools opened last that are still there, the newest first. A list that cannot be read is an empty one."""
    try:
        names = json.loads(state_file().read_text(encoding="utf-8"))
        # One that may not be looked at is one that is not there: `os.path` says so, `Path` raises.
        return [Path(name) for name in names if isinstance(name, str) and os.path.isfile(name)]  # noqa: PTH113
    except (OSError, ValueError, TypeError):
        return []


def remember(pool: Path) -> None:
    """Put `pool` first. The list is a convenience: where it cannot be written, nothing is said."""
    file = state_file()
    # Written beside and renamed, so that two studios at once leave one list or the other, never half of one.
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError, ValueError):
        place = pool.absolute()
        names = [str(place), *(str(path) for path in recent_pools() if path != place)][:KEPT]
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(names, ensure_ascii=True), encoding="utf-8")
        draft.replace(file)


EXPLAINED = "seeds to evaluate on: 20, or 0.2 of all"
REFUSED = "neither a number of seeds nor a share"


def parse_hold_out(text: str) -> float | None:
    """Return the number of seeds or the share of them that `text` names, 0 for an empty one or `none`; None when it is neither."""
    try:
        asked = 0.0 if text.strip() in ("", "none") else float(text)
    except ValueError:
        return None
    whole = asked < 1 or asked.is_integer()
    return asked if math.isfinite(asked) and asked >= 0 and whole else None


@dataclass
class RunChosen(Message):
    """A pool was picked, or is to be made: the app opens it."""

    asked: RunRequest


FIRST_RUN = """\
A model on this machine is shown eight tasks and goes on with the list.
What it writes becomes candidates; rules and ROUGE-L keep what is new.
For each new task it writes inputs and outputs. All of it is one file.
You step through it, see why, and overrule it where you know better."""
PROFILE_WORDS = {
    "studio": "what we would use ourselves",
    "paper": "as the paper describes it",
    "code": "decides exactly as the released code",
    "alpaca": "whole tasks from one prompt, as in Alpaca",
}
_STORED: dict[str, object] = {"profile": None, "hold_out": 0.0}
"""Options that a pool which is there already has settled for itself."""


class RecentPools(OptionList):
    """The pools that were open last; the footer names the key that opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("open", "select", "Open", "Go on with the pool under the cursor.")]


class StartScreen(Screen[None]):
    """Recent pools, and a form for a new one with the bundled model and the usual profile in it."""

    HELP = """
    ## Which pool?
    A *pool* is one file that holds tasks and every decision about them. Pick one to go on with it, or make a new one:
    it starts from the seed tasks that come with the studio, or from a file of yours. `enter` opens, `tab` goes on to the next field.

    A *brief* is a domain, an audience, a language or a constraint that all new tasks are to keep to; it goes into the prompts.
    `F4` lists the models on this machine and takes the path of a file or the address of a server. `F2` shows every parameter of the
    profile, to be changed for the new pool. `ctrl+s` makes the pool and opens it.

    *Documents* takes the path of a file or a folder, text, Markdown, HTML or PDF: the model writes requests that their passages answer,
    and questions about them, and nothing else unless the settings say so.

    *Hold out* keeps some of the seeds apart, as a number or as a share: they are never shown to the model, so that `studio evaluate` can
    ask it for their answers later. It is settled when the pool is made. Without it all seeds are used.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "create", "Create and open", "Make the pool and open it.", priority=True),
        bind("new", "new", "New pool", "Go to the form for a new pool."),
        bind("models", "models", "Models", "Choose the model of the new pool."),
        bind("settings", "settings", "Settings", "Look at the parameters of the new pool, and change them."),
        bind("import", "seeds", "Seeds", "Choose a file of tasks that the new pool begins with.", show=False),
        # The focused field takes the letter q.
        bind("quit-now", "app.quit", "Quit", "Quit.", priority=True),
    ]
    DEFAULT_CSS = """
    StartScreen { align: center top; }
    StartScreen #page { width: 100%; max-width: 96; padding: 1 2; }
    StartScreen #title { color: $primary; text-style: bold; margin-bottom: 1; }
    StartScreen .line { color: $foreground-muted; }
    StartScreen .head { color: $primary; text-style: bold; margin-top: 1; }
    StartScreen OptionList, StartScreen OptionList:focus { height: auto; max-height: 8; border: none; padding: 0; background: $background; }
    StartScreen #form { height: auto; }
    StartScreen #form > Row { margin-bottom: 1; }
    StartScreen #form Label { width: 10; }
    StartScreen #hold-out-field { height: 2; }
    StartScreen #hold-out-note { margin-left: 10; padding: 0 1; height: 1; color: $foreground-muted;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    StartScreen #hold-out-note.-refused { color: $text-error; text-style: bold; }
    StartScreen.-normal #form > Row, StartScreen.-short #form > Row, StartScreen.-flat #form > Row { margin-bottom: 0; }
    StartScreen Input { background: $panel; }
    StartScreen #create { margin-left: 10; }
    StartScreen .choice { width: 1fr; text-align: left; content-align: left middle; background: $panel; padding: 0; text-style: none; }
    StartScreen .choice:focus { text-style: reverse; }
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self._configuration = configuration
        self._recent = recent_pools()
        self._model = with_adapter(configuration.options.model, configuration.options.adapter)
        self._changes = dict(configuration.overrides)
        self._looking = False
        self._seeds: Sequence[FileChoice] = ()

    def compose(self) -> ComposeResult:
        options = self._configuration.options
        with VerticalScroll(id="page", can_focus=False):
            yield Static("Self-Instruct Studio", markup=False, id="title")
            if self._recent:
                yield Static("Go on with a pool", markup=False, classes="head")
                yield RecentPools(*(Option(_recent_line(path, ""), id=str(place)) for place, path in enumerate(self._recent)), id="recent")
            else:
                yield Static(FIRST_RUN, markup=False, classes="line")
            yield Static("Make a new pool", markup=False, classes="head")
            with Vertical(id="form"):
                yield Row("file", SafeInput(_free_name(), id="file", placeholder="pool.db"))
                yield Row("model", _opener(_model_words(self._model, options.models.answer), "model", "models"))
                profiles = [(Content(f"{name}: {PROFILE_WORDS.get(name, '')}"), name) for name in PROFILES]
                chosen = options.profile or DEFAULT_PROFILE
                yield Row("profile", Choice(profiles, value=chosen, allow_blank=False, id="profile"))
                brief = SafeInput(
                    str(self._changes.get("brief", "")), id="brief", placeholder="what all tasks are to be about, or for whom"
                )
                yield Row("brief", brief)
                yield Row("documents", SafeInput(id="documents", placeholder="a file or folder to write requests and questions for"))
                yield Row("settings", _opener(_changes_words(self._changes), "settings", "settings"))
                yield Row("seeds", _opener(_seeds_words(self._seeds), "seeds", "seeds"))
                with Vertical(id="hold-out-field"):
                    held = SafeInput(f"{options.hold_out:g}" if options.hold_out else "", id="hold-out", placeholder="none")
                    yield Row("hold out", held)
                    yield Static(EXPLAINED, markup=False, id="hold-out-note")
                yield Button("Create and open", id="create", variant="primary", compact=True, action="screen.create")
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        """The likeliest next step has the focus; figures are looked up meanwhile."""
        self.query_one("#recent" if self._recent else "#file").focus()
        start_latest(self, "lookup", self._look_up)

    async def _look_up(self) -> None:
        """Ask the disk beside the screen: a large pool may not hold up the keys."""
        for place, path in enumerate(self._recent):
            words = await asyncio.to_thread(_figures, path)
            self.query_one("#recent", OptionList).replace_option_prompt(str(place), _recent_line(path, words))

    def action_new(self) -> None:
        self.query_one("#file").focus()

    @on(Input.Changed, "#hold-out")
    def _look_at_hold_out(self) -> None:
        """Say at once when something else stands there than a number or a share."""
        refused = parse_hold_out(self.query_one("#hold-out", SafeInput).text) is None
        note = self.query_one("#hold-out-note", Static)
        note.set_class(refused, "-refused")
        note.update(Content(REFUSED if refused else EXPLAINED))

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The line below the last field belongs to it."""
        if event.widget.id == "hold-out":
            self.call_after_refresh(self.query_one("#hold-out-field").scroll_visible, animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on with that pool, with its own model and profile."""
        options = self._configuration.options.model_copy(update=_STORED)
        self._open(self._recent[int(event.option.id or 0)], replace(self._configuration, options=options))

    def on_input_submitted(self) -> None:
        self.action_create()

    def action_models(self) -> None:
        def take(model: str | None) -> None:
            if model is not None:
                self._model = model
                self.query_one("#model", Button).label = _model_words(model, self._configuration.options.models.answer)

        lay_over(self, ModelDialog(self._model), take)

    def action_settings(self) -> None:
        def take(changes: dict[str, Any], stored: Callable[[], None], _: object) -> None:
            self._changes = changes
            self.query_one("#brief", SafeInput).text = str(changes.get("brief", ""))
            self.query_one("#settings", Button).label = _changes_words(changes)
            stored()

        try:
            screen = SettingsScreen(profile(self._profile()), self._changed(), fixed=("profile",), about="for the new pool", store=take)
        except UsageError as error:
            self.app.push_screen(ErrorDialog(error))
            return
        lay_over(self, screen)

    def action_seeds(self) -> None:
        def take(chosen: Sequence[FileChoice] | None) -> None:
            if chosen is not None:
                self._seeds = chosen
                self.query_one("#seeds", Button).label = _seeds_words(chosen)

        lay_over(self, SeedsDialog(next(iter(self._seeds), None)), take)

    def _changed(self) -> dict[str, Any]:
        """The parameters that are not as the profile has them, with the brief as it stands in its field."""
        brief = self.query_one("#brief", SafeInput).text
        without = {key: value for key, value in self._changes.items() if key != "brief"}
        return without | {"brief": brief} if brief.strip() else without

    def _profile(self) -> str:
        return str(self.query_one("#profile", Select).value)

    def action_create(self) -> None:
        """Make the pool of the form, or go on with it if it is there."""
        name = self.query_one("#file", SafeInput).text.strip()
        if not name:
            self.query_one("#file").focus()
            return
        hold_out = parse_hold_out(self.query_one("#hold-out", SafeInput).text)
        if hold_out is None:
            self.query_one("#hold-out").focus()
            return
        documents = self.query_one("#documents", SafeInput).text.strip()
        try:
            path = user_path(name, PoolError)
            asked = (user_path(documents, UsageError),) if documents else ()
        except StudioError as error:
            self.app.push_screen(ErrorDialog(error))
            return
        options, overrides = self._configuration.options, self._configuration.overrides
        if path.exists():
            self._open(path, Configuration(options.model_copy(update={**_STORED, "hold_out": hold_out}), overrides), (), asked)
            return
        model, adapter = parted(self._model)
        options = options.model_copy(update={"model": model, "adapter": adapter, "profile": self._profile(), "hold_out": hold_out})
        self._open(path, Configuration(options, self._changed()), self._seeds, asked)

    def _open(self, path: Path, configuration: Configuration, seeds: Sequence[FileChoice] = (), documents: tuple[Path, ...] = ()) -> None:
        if self._looking:
            return
        mapping = next((each.mapping for each in seeds), None)
        asked = RunRequest(path, configuration, tuple(each.path for each in seeds), mapping=mapping, documents=documents)
        try:
            # What cannot be a pool can still be corrected here.
            if user_path(path, PoolError).exists():
                check_header(path)
            else:
                check_place(path)
        except StudioError as error:
            self.app.push_screen(ErrorDialog(error))
            return
        if configuration.options.hold_out or seeds or documents:
            self._looking = True
            start_latest(self, "look", self._look_and_open, asked)
        else:
            self._choose(asked)

    def _choose(self, asked: RunRequest) -> None:
        # What is pressed before the app has turned to it opens nothing here any more.
        self._looking = True
        self.post_message(RunChosen(asked))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """While a pool is looked at or about to be opened, the form is done with."""
        return not self._looking or action not in ("create", "new", "models", "settings", "seeds")

    async def _look_and_open(self, asked: RunRequest) -> None:
        """Too many seeds to hold out, documents that cannot be read, or a pool that is there already, can still be corrected here."""
        try:
            await asyncio.to_thread(lambda: Opening(asked).close())
        except StudioError as error:
            self.app.push_screen(ErrorDialog(error))
            return
        finally:
            self._looking = False
        self._choose(asked)


def _figures(path: Path) -> str:
    try:
        with Queries.open(path) as reader:
            return f"{reader.figures.generated()} generated tasks"
    except PoolError:
        return "cannot be read"


def _opener(label: Content, name: str, action: str) -> Button:
    """A button that looks like the fields above and below it, and opens a dialog."""
    button = Button(label, id=name, classes="choice", compact=True, action=f"screen.{action}")
    button.styles.line_pad = 0
    return button


def _model_words(model: str, answering: str) -> Content:
    """The model that writes, and the one that answers where another was asked for."""
    if answering in ("", NO_MODEL):
        return Content(f"{clip(model, 70)} ▼" if model else f"{DEFAULT_MODEL} (bundled) ▼")
    return Content(f"{clip(model or DEFAULT_MODEL, 32)}, answers by {clip(answering, 26)} ▼")


def _seeds_words(seeds: Sequence[FileChoice]) -> Content:
    return Content(f"{clip(seeds[0].path.name, 60)} ▼" if seeds else "those that come with the studio ▼")


def _changes_words(changes: Mapping[str, Any]) -> Content:
    others = [key for key in changes if key != "brief"]
    return Content(f"{clip(', '.join(others), 60)} changed ▼" if others else "as the profile has them ▼")


def _recent_line(path: Path, words: str) -> Content:
    try:
        shown = str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):
        # Elsewhere; or the working folder is gone.
        shown = str(path)
    return Content.assemble(clip(shown, 60), (f"  {words}" if words else "", "$foreground-muted"))


def _free_name() -> str:
    """A name for a new pool that is not taken in this folder."""
    names = chain(["pool.db"], (f"pool-{number}.db" for number in count(2)))
    return next(name for name in names if not os.path.lexists(name))
