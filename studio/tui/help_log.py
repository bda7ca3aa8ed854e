"""Help for the focused part, and the log of what has happened since the studio was started: both lie over any screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from inspect import cleandoc
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Log, Markdown, Static

from studio.errors import StudioError
from studio.guide import page
from studio.loop.events import EngineRestarted, RequestRetried, RoundFinished, RoundStarted, StageFinished
from studio.text import display_line
from studio.tui.base import Dialog, Page, copy_from
from studio.tui.keys import VERBS, bind
from studio.tui.runner import Answered, Failed, Loading, Notice, Opened, WorkEnded
from studio.tui.widgets.fields import FindLine
from studio.tui.widgets.frame import KeyBar


class HelpDialog(Dialog[None]):
    """The texts of the focused widget and of its screen, and every key with what it does; or a page of the guide, by its topic."""

    TITLE = "Help"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("help", "back", "Close", "Close the help.", show=False),
        bind("down", "scroll(1)", "Down", "Scroll down.", show=False),
        bind("up", "scroll(-1)", "Up", "Scroll up.", show=False),
    ]
    DEFAULT_CSS = """
    HelpDialog > Vertical { max-width: 92; height: 90%; }
    HelpDialog Markdown { background: $panel; margin: 0; padding: 0; height: auto; }
    HelpDialog MarkdownHeader { margin: 1 0; content-align: left middle; }
    HelpDialog MarkdownBlock:first-child { margin-top: 0; }
    HelpDialog Static { height: auto; }
    """

    def __init__(self, about: Screen[object] | str) -> None:
        super().__init__()
        self._texts = [page(about)] if isinstance(about, str) else _help_of(about)
        self._keys = Content() if isinstance(about, str) else _keys_of(about)

    def body(self) -> ComposeResult:
        with VerticalScroll():
            # HELP texts are the studio's own; nobody else's text is ever shown as Markdown.
            yield Markdown("\n\n".join(self._texts))
            yield Static(self._keys, markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def _help_of(screen: Screen[object]) -> list[str]:
    """The HELP of the focused widget and of everything around it, the nearest first."""
    start: DOMNode = screen.focused or screen
    texts = [str(node.HELP) for node in start.ancestors_with_self if getattr(node, "HELP", None)]
    return [cleandoc(text) for text in texts]


def _keys_of(screen: Screen[object]) -> Content:
    """Those that work now, in the order of the table."""
    lines: dict[str, tuple[list[str], str]] = {}
    order = {verb: place for place, verb in enumerate(VERBS)}
    for active in sorted(screen.active_bindings.values(), key=lambda active: order.get(active.binding.id or "", len(order))):
        binding = active.binding
        if not active.enabled or not binding.description or binding.system or binding.key.startswith("super+"):
            continue
        keys, _ = lines.setdefault(binding.action, ([], binding.tooltip or binding.description))
        keys.append(screen.app.get_key_display(binding))
    shown = [(" ".join(dict.fromkeys(keys)), words) for keys, words in lines.values()]
    width = max((len(keys) for keys, _ in shown), default=0)
    return Content("\n").join(Content.assemble((f"{keys:>{width}}  ", "$accent bold"), words) for keys, words in shown)


KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `at` is local time; `text` may be anything, it is cleaned where it is shown."""

    at: datetime
    text: str
    error: bool


class ActivityLog:
    """The last lines, oldest first. `count` counts all there ever were; only the thread of the screens may use it."""

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self.count = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._lines)

    def add(self, text: str, *, error: bool = False) -> None:
        self._lines.append(Line(self._now(), text, error))
        self.count += 1


def log_line(notice: Notice) -> tuple[str, bool] | None:
    """Return the line for a notice and whether it is an error; None for what is not worth one. The text is cleaned where it is shown."""
    match notice:
        case Loading(model, notes, answering):
            both = " and ".join(filter(None, (model or "the bundled model", answering)))
            return "; ".join((*notes, f"loading {both}")), False
        case Opened(info, method, seed, resumed, _, answering):
            verb = "going on with the run" if resumed else "a new run"
            answers = "" if answering is None else f", answered by {answering.model.name}, {answering.backend}"
            return f"{verb}: {info.model.name}, {info.backend}{answers}, profile {method.profile}, seed {seed}", False
        case RoundStarted(number, stage):
            return f"round {number} begins or goes on at {stage}", False
        case StageFinished(number, stage, _):
            return f"round {number}: {stage} is done", False
        case RoundFinished(number, accepted, rejected, instances, generated):
            candidates = accepted + sum(rejected.values())
            return f"round {number} brought {accepted} tasks of {candidates} candidates, {instances} instances; {generated} in all", False
        case EngineRestarted(stage, attempt, cause):
            return f"the engine died in {stage} and was started again, attempt {attempt}: {cause}", True
        case RequestRetried(stage, ordinal, attempt, cause):
            return f"request {ordinal + 1} of {stage} is sent again {notice.when}, attempt {attempt}: {cause}", True
        case WorkEnded(work, stopped):
            return f"{work} ended" + (f": {stopped}" if stopped is not None else ""), False
        case Answered(_, str(words)):
            # What a person does has words: they are what the toast says, too.
            return f"by you: {words}", False
        case Failed(error) | Answered(_, StudioError() as error):
            return error.words("; "), True
        case _:
            return None


_LINE = 2_000
"""Characters of one entry that are shown."""
FOLLOW_S = 0.5


class LogScreen(Page[None]):
    """Shows the log and follows it; who scrolls up stays where he is."""

    HELP = """\
## Log

What has happened since the studio was started, the newest last. **/** shows the entries that have your words, **ctrl+c** sends the last
5,000 to the clipboard.
"""
    DEFAULT_CSS = """
    LogScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    LogScreen Log { height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("find", "find", "Find", "Show the entries that have these words"),
        bind("copy", "copy", "Copy", "Send the log to the clipboard"),
        bind("back", "back", "Close", "Back to where you were"),
    ]

    def __init__(self, log: ActivityLog, *, follow_s: float = FOLLOW_S) -> None:
        super().__init__()
        self._activity = log
        self._follow_s = follow_s
        self._shown = -1
        self._words: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static(Content("Log"), id="title", markup=False)
        yield Log(max_lines=KEPT, id="lines")
        yield FindLine("words of an entry; the others are left out")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Log).focus()
        self.follow()
        self.set_interval(self._follow_s, self.follow)

    def follow(self) -> None:
        count = self._activity.count
        if count == self._shown:
            return
        log, lines = self.query_one(Log), self._activity.lines
        if self._words or self._shown <= 0:
            log.clear()
        if self._words:
            found = [line for line in lines if all(word in line.text.lower() for word in self._words)]
            log.write_line(f"{len(lines) - len(found):,} of {len(lines):,} entries are left out")
            log.write_lines(map(_entry, found))
        elif not count:
            log.write_line("Nothing has happened yet.")
        else:
            # Who has scrolled up stays where he is.
            log.write_lines(map(_entry, lines[max(self._shown, 0) - count :]))
        # At its limit every line moves, which Textual does not draw.
        log.refresh()
        self._shown = count

    def action_find(self) -> None:
        self.query_one(FindLine).open()

    @on(FindLine.Wanted)
    def _find(self, event: FindLine.Wanted) -> None:
        if event.words != self._words:
            self._words, self._shown = event.words, -1
            self.follow()

    @on(FindLine.Left)
    def _found(self) -> None:
        self.query_one(Log).focus()

    def action_copy(self) -> None:
        text = "\n".join(f"{line.at:%H:%M:%S} {line.text}" for line in self._activity.lines)
        copy_from(self, text)

    def action_back(self) -> None:
        """From what was found to the whole log, then to where one was."""
        if self._words:
            self.query_one(FindLine).text = ""
        else:
            self.dismiss()


def _entry(line: Line) -> str:
    return f"{line.at:%H:%M:%S}  {'error  ' if line.error else ''}{display_line(line.text, _LINE)}"
