"""The picker: which pool to go on with, or a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Footer, Label, OptionList, Select, Static
from textual.widgets.option_list import Option

from studio.engine.catalog import DEFAULT_MODEL, CatalogEntry, list_models
from studio.errors import PoolError, StudioError
from studio.loop.configuration import Configuration
from studio.loop.profiles import DEFAULT_PROFILE, PROFILES
from studio.opening import RunRequest
from studio.pool.queries import Queries
from studio.tui.cells import clip
from studio.tui.dialogs import ErrorDialog
from studio.tui.recent import recent_pools
from studio.tui.safe import SafeInput
from studio.tui.widgets.choice import Choice
from studio.tui.widgets.too_small import TooSmall

if TYPE_CHECKING:
    from studio.tui.app import StudioApp

FIRST_RUN = (
    "A model on this machine is shown eight tasks and goes on with the list.",
    "What it writes becomes candidates; rules and ROUGE-L keep what is new.",
    "For each new task it writes inputs and outputs. All of it is one file.",
    "You step through it, see why, and overrule it where you know better.",
)
PROFILE_WORDS = {
    "studio": "what we would use ourselves",
    "paper": "as the paper describes it",
    "code": "decides exactly as the released code",
    "alpaca": "whole tasks from one prompt, as in Alpaca",
}


class StartScreen(Screen[None]):
    """Recent pools, and a form for a new one with the bundled model and the usual profile in it."""

    HELP = """
    ## Which pool?
    A *pool* is one file that holds tasks and every decision about them. Pick one to go on with it, or make a new one:
    it starts from the seed tasks that come with the studio. `enter` opens, `tab` goes on to the next field.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "new", "New pool", id="start.new", tooltip="Go to the form for a new pool."),
        Binding("ctrl+o", "create", "Create and open", id="start.create", tooltip="Make the pool and open it."),
    ]

    DEFAULT_CSS = """
    StartScreen { align: center top; }
    StartScreen #page { width: 100%; max-width: 96; padding: 1 2; }
    StartScreen #title { color: $primary; text-style: bold; margin-bottom: 1; }
    StartScreen .line { color: $foreground-muted; }
    StartScreen .head { color: $primary; text-style: bold; margin-top: 1; }
    StartScreen OptionList, StartScreen OptionList:focus { height: auto; max-height: 8; border: none; padding: 0; background: $background; }
    StartScreen .field { height: 1; margin-bottom: 1; }
    StartScreen .field Label { width: 10; color: $foreground-muted; }
    StartScreen Input { width: 1fr; border: none; height: 1; background: $panel; padding: 0 1; }
    StartScreen Select { width: 1fr; }
    StartScreen Button { margin-left: 10; }
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self._configuration = configuration
        self._recent: list[Path] = []
        self._models: list[CatalogEntry] = []

    def compose(self) -> ComposeResult:
        """Recent pools where there are any, the form below."""
        self._recent = recent_pools()
        options = self._configuration.options
        with VerticalScroll(id="page", can_focus=False):
            yield Static("Self-Instruct Studio", markup=False, id="title")
            if self._recent:
                yield Static("Go on with a pool", markup=False, classes="head")
                yield OptionList(*(Option(_recent_line(path, ""), id=str(place)) for place, path in enumerate(self._recent)), id="recent")
            else:
                for line in FIRST_RUN:
                    yield Static(line, markup=False, classes="line")
            yield Static("Make a new pool", markup=False, classes="head")
            with Vertical(id="form"):
                with Horizontal(classes="field"):
                    yield Label("file", markup=False)
                    yield SafeInput(_free_name(), id="file", placeholder="pool.db", compact=True)
                with Horizontal(classes="field"):
                    yield Label("model", markup=False)
                    yield Choice(self._model_options(), value=options.model, allow_blank=False, id="model", compact=True)
                with Horizontal(classes="field"):
                    yield Label("profile", markup=False)
                    profiles = [(Content(f"{name}: {PROFILE_WORDS.get(name, '')}"), name) for name in PROFILES]
                    yield Choice(profiles, value=options.profile or DEFAULT_PROFILE, allow_blank=False, id="profile", compact=True)
                yield Button("Create and open", id="create", variant="primary", compact=True)
        yield Footer(show_command_palette=False)
        yield TooSmall()

    def on_mount(self) -> None:
        """The likeliest next step has the focus; models and figures are looked up meanwhile."""
        self.query_one("#recent" if self._recent else "#file").focus()
        self._look_up()

    def _model_options(self) -> list[tuple[Content, str]]:
        asked = self._configuration.options.model
        options = [(Content(f"{DEFAULT_MODEL} (bundled)"), "")]
        if asked:
            options.append((Content(clip(asked, 70)), asked))
        for entry in self._models:
            if entry.identity is not None and entry.source != "bundled" and str(entry.path) != asked:
                words = f"{entry.name} {entry.identity.quantisation} ({entry.source})"
                options.append((Content(clip(words, 70)), str(entry.path)))
        return options

    @work(thread=True, exclusive=True, group="lookup")
    def _look_up(self) -> None:
        """Ask the disk on a thread of its own: neither a slow folder nor a large pool may hold up the keys."""
        models = list_models()
        self.app.call_from_thread(self._models_found, models)
        for place, path in enumerate(self._recent):
            try:
                with Queries.open(path) as reader:
                    words = f"{reader.generated()} generated tasks"
            except PoolError:
                words = "cannot be read"
            self.app.call_from_thread(self._figures_found, place, words)

    def _models_found(self, models: list[CatalogEntry]) -> None:
        self._models = models
        select = self.query_one("#model", Select)
        value = select.value
        select.set_options(self._model_options())
        select.value = value

    def _figures_found(self, place: int, words: str) -> None:
        self.query_one("#recent", OptionList).replace_option_prompt(str(place), _recent_line(self._recent[place], words))

    def action_new(self) -> None:
        """Go to the form."""
        self.query_one("#file").focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on with that pool, with its own model and profile."""
        options = self._configuration.options.model_copy(update={"profile": None})
        self._open(self._recent[int(event.option.id or 0)], replace(self._configuration, options=options))

    def on_input_submitted(self) -> None:
        """Enter in the form."""
        self.action_create()

    def on_button_pressed(self) -> None:
        """The form's button."""
        self.action_create()

    def action_create(self) -> None:
        """Make the pool of the form, or go on with it if it is there."""
        name = self.query_one("#file", SafeInput).value.strip()
        if not name:
            self.query_one("#file").focus()
            return
        path = Path(name).expanduser()
        options = self._configuration.options
        if path.exists():
            options = options.model_copy(update={"profile": None})
        else:
            model, profile = self.query_one("#model", Select).value, self.query_one("#profile", Select).value
            options = options.model_copy(update={"model": str(model), "profile": str(profile)})
        self._open(path, replace(self._configuration, options=options))

    def _open(self, path: Path, configuration: Configuration) -> None:
        try:
            if not path.parent.is_dir():
                raise PoolError(f"the folder {path.parent} for the pool does not exist", "name a file in a folder that is there")
        except StudioError as error:
            self.app.push_screen(ErrorDialog(error))
            return
        cast("StudioApp", self.app).open_run(RunRequest(path, configuration))


def _recent_line(path: Path, words: str) -> Content:
    try:
        shown = str(path.relative_to(Path.cwd()))
    except ValueError:
        shown = str(path)
    return Content.assemble(clip(shown, 60), (f"  {words}" if words else "", "$foreground-muted"))


def _free_name() -> str:
    """A name for a new pool that is not taken in this folder."""
    if not Path("pool.db").exists():
        return "pool.db"
    number = 2
    while Path(f"pool-{number}.db").exists():
        number += 1
    return f"pool-{number}.db"
