"""The page of the prompt: its in-context tasks, or the turns it is made of, each to be read whole; and the completion as it streams, as the
model writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Region
from textual.reactive import reactive
from textual.widgets import Static

from studio.engine.api import Chat, FinishReason
from studio.insight.story import source_words
from studio.loop.parsing import told_apart
from studio.loop.settings import Method
from studio.records import Source, Stage, Task
from studio.text import display, display_line
from studio.tui.base import Dialog, copy_from
from studio.tui.keys import bind
from studio.tui.round.live import LiveRound, LiveText, Prompt, TaskText
from studio.tui.widgets.frame import LONG, MUTED, POINTER, Pane, cut, fit


class ReadDialog(Dialog[None]):
    """A window with one text that scrolls, to be read and copied; `copied` is what of it goes to the clipboard."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("copy", "copy", "Copy", "Send the text to the clipboard.")]
    DEFAULT_CSS = """
    ReadDialog > Vertical { height: auto; max-height: 80%; }
    ReadDialog Pane, ReadDialog Pane:focus { border-top: none; height: auto; max-height: 100%; padding: 0; background: $panel; }
    ReadDialog Static { height: auto; }
    """

    def __init__(self, title: str, text: Content, copied: str) -> None:
        super().__init__()
        self.title = title
        self._text = text
        self._copied = copied

    def body(self) -> ComposeResult:
        with Pane(id="read-text"):
            yield Static(self._text, markup=False)

    def on_mount(self) -> None:
        self.query_one("#read-text").focus()

    def action_copy(self) -> None:
        copy_from(self, self._copied)


def turns(prompt: Prompt) -> Iterator[tuple[str, str, str]]:
    """The parts of a prompt in their order: a name, the text, and in our words what comes where it ends, or that there is none."""
    chat = prompt.chat
    if chat is None:
        yield "a raw text", prompt.text, "the model goes on from here"
        return
    yield "system turn", chat.system, "" if chat.system else "none, or what the template has of its own"
    if chat.writes_request:
        yield "user's turn", prompt.text, "the model goes on from here" if prompt.text else "the model writes it"
        return
    yield "user's turn", prompt.text, ""
    yield "the model's turn", chat.begins, "the model goes on from here" if chat.begins else "the model begins it"


def told(prompt: Prompt) -> Content:
    """All turns one below the other."""
    parts: list[str | tuple[str, str]] = []
    for name, text, after in turns(prompt):
        parts += [(f"{name}\n", f"{MUTED} bold"), cut(text, LONG)]
        if after:
            parts.append((f"{' ' if text else ''}({after})", MUTED))
        parts.append("\n")
    return Content.assemble(*parts).rstrip()


class PromptDialog(ReadDialog):
    """The whole prompt; what is copied is the text that is not the model's."""

    HELP = """
    The prompt as the model gets it. In chat these are the system turn, the user's turn, and how the model's own turn begins; the model's
    template puts its marks between them. `ctrl+c` sends the text to the clipboard, `escape` closes the window.
    """

    def __init__(self, prompt: Prompt) -> None:
        words = source_words(prompt.source)
        title = f"Prompt {prompt.ordinal + 1}" + (f" · {words.partition(':')[0]}" if words else "")
        super().__init__(title, told(prompt), "\n\n".join(text for _, text, _ in turns(prompt) if text))


class TaskDialog(ReadDialog):
    """Instruction, class and instances; the instruction is copied."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("copy", "copy", "Copy", "Send the instruction to the clipboard.")]
    HELP = "A task as the prompt has it, and its instances. `ctrl+c` sends the instruction to the clipboard, `escape` closes the window."

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task #{task.id} · {task.origin}", Content.assemble(*_parts(task)), task.instruction)


_KINDS = {None: "nobody has said whether it is a classification task", True: "a classification task", False: "not a classification task"}


def _parts(task: Task) -> Iterator[str | tuple[str, str]]:
    yield cut(task.instruction, LONG)
    yield (f"\n\n{_KINDS[task.is_classification]}", "$foreground-muted")
    for instance in task.instances:
        yield "\n"
        for name, text in (("input", instance.input), ("output", instance.output)):
            if text:
                yield (f"\n{name}\n", "$foreground-muted")
                yield cut(text, LONG)


UNDRAWN = "The tasks that the next prompt shows the model appear here.\nPress s: the first stage draws them."
_ORIGIN_STYLES = {"seed": "$secondary", "generated": "$success", "imported": "$accent"}


class ContextTasks(Pane):
    """Eight lines, one a task: its number in the prompt, origin, id and instruction, with a cursor to point at one.

    A prompt without tasks, in which the model writes the request itself, is shown as the turns that it is made of.
    """

    HELP = """
    The tasks drawn into the prompt. They are the *parents* of whatever the model writes after them.
    Most are seeds; once there are generated tasks, some of them are drawn as well. `[` and `]` go through the prompts of the round,
    `enter` or a double click shows all of the task under the cursor, `P` the prompt as the model gets it.
    In chat there are prompts without tasks, too: of those the model writes the user's turn itself. Where the round is about documents, the
    passage stands here that the model writes a request or a question for, with its file and place.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "Up", "The task above.", show=False),
        bind("down", "move(1)", "Down", "The task below.", show=False),
        bind("open", "open", "Whole task", "Read all of the task under the cursor."),
    ]
    cursor: reactive[int] = reactive(0)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ordinal = 0
        self._tasks: Sequence[Task] = ()
        self.prompt: Prompt | None = None
        """The prompt that is shown."""

    def compose(self) -> ComposeResult:
        yield Static(UNDRAWN, markup=False, classes="empty")

    def show(self, prompts: Sequence[Prompt], ordinal: int) -> None:
        """Show the prompt at `ordinal`; nothing when there is none."""
        if not prompts:
            self._tasks, self.prompt = (), None
            self.border_title = Content("In context")
        else:
            at = min(max(ordinal, 0), len(prompts) - 1)
            self.ordinal = at
            prompt = prompts[at]
            if prompt.ordinal != (self.prompt.ordinal if self.prompt is not None else -1):
                self.begin()
            self._tasks, self.prompt = prompt.parents, prompt
            self.cursor = min(self.cursor, max(len(self._tasks) - 1, 0))
            head = "Passage" if prompt.passage is not None else "Template" if prompt.source is Source.TEMPLATE else "In context"
            self.border_title = Content(f"{head} · prompt {at + 1} of {len(prompts)}")
        self._draw()

    @property
    def chosen(self) -> Task | None:
        return self._tasks[self.cursor] if self._tasks else None

    def validate_cursor(self, cursor: int) -> int:
        return min(max(cursor, 0), max(len(self._tasks) - 1, 0))

    def watch_cursor(self) -> None:
        """Draw it, and bring it into view."""
        self._draw()
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False)

    def action_move(self, by: int) -> None:
        """Move the cursor; where there are no tasks, scroll."""
        if self._tasks:
            self.cursor += by
        else:
            self.scroll_relative(y=by, animate=False)

    def action_open(self) -> None:
        """Show the task under the cursor whole, or the prompt where there are none."""
        if self._tasks:
            self.app.push_screen(TaskDialog(self._tasks[self.cursor]))
        else:
            self.open_prompt()

    def open_prompt(self) -> None:
        """Show the prompt as the model gets it."""
        if self.prompt is not None:
            self.app.push_screen(PromptDialog(self.prompt))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """There is nothing to open before the first tasks are drawn."""
        return action != "open" or self.prompt is not None

    def on_click(self, event: Click) -> None:
        """A click picks the task, another one opens it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if self._tasks:
            self.cursor = offset.y + round(self.scroll_y)
        if event.chain == 2:
            self.action_open()

    def watch_has_focus(self, focused: bool) -> None:
        """The cursor shows brightly where the focus is, faintly elsewhere: `w` swaps the task under it from any pane."""
        super().watch_has_focus(focused)
        self._draw()

    def on_resize(self) -> None:
        """Lines are cut to the width."""
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        static = self.query_one(Static)
        static.set_class(self.prompt is None, "empty")
        width = self.scrollable_content_region.width
        if self.prompt is None or not self._tasks:
            static.update(Content(UNDRAWN) if self.prompt is None else _without_tasks(self.prompt))
            return
        lines = []
        digits, numbers = max(len(str(task.id)) for task in self._tasks), len(str(len(self._tasks)))
        for number, task in enumerate(self._tasks, 1):
            head = f"{POINTER if number == self.cursor + 1 else ' '}{number:>{numbers}} "
            origin = f"{task.origin:<9} "
            mark = f"#{task.id:<{digits}}  "
            room = width - len(head) - len(origin) - len(mark)
            line = Content.assemble(
                (head, "$foreground-muted"), (origin, _ORIGIN_STYLES[task.origin]), (mark, "$foreground-muted"), fit(task.instruction, room)
            )
            cursor = "on $block-cursor-background" if self.has_focus else "on $block-cursor-blurred-background"
            lines.append(line.stylize(cursor) if number == self.cursor + 1 else line)
        if self.prompt.chat is not None:
            lines.append(Content.styled(fit(f"  {_standing(self.prompt.chat)} · P shows it", width), "$foreground-muted"))
        static.update(Content("\n").join(lines))


def _without_tasks(prompt: Prompt) -> Content:
    """What the model is shown where there are no in-context tasks: a passage, or nothing but its template."""
    if prompt.passage is None:
        return told(prompt)
    found = prompt.passage
    head = f"{display_line(found.place)} · {display_line(found.document.licence) or 'licence not stated'}\n"
    behind = f"\n{source_words(prompt.source)} · P shows the prompt"
    return Content.assemble((head, "$foreground-muted bold"), cut(found.passage.text, LONG), (behind, "$foreground-muted"))


def _standing(chat: Chat) -> str:
    """In which turn of a chat the tasks stand."""
    if chat.writes_request:
        return "in the system turn; the model writes the user's"
    return "the model's turn begins with this list" if chat.begins else "in the user's turn; the model answers"


EMPTY = "What the model writes streams in here."
READING = "The model reads its prompts; what it writes streams in here."
UNASKED = "This task needs no input: nothing was asked of the model here.\nIts output is written in the stage answer."
_WRITTEN = {Stage.INSTRUCTIONS: "Completion", Stage.CLASSIFY: "Class", Stage.INSTANCES: "Instances", Stage.ANSWER: "Answer"}
"""What the model writes in each stage."""
SHOWN = 8_000
"""Characters of a completion that are drawn: the last ones. The pool has all of them."""
# The same shape that parts the items, see `studio.loop.parsing`; here it only decides what is coloured.
_NUMBERS = re.compile(r"(?<=\n)\d++[^\S\n]?+\. ")
_MARKERS = re.compile(r"^(?:Example \d+|Input|Output|Class label)[^\S\n]?:?", re.MULTILINE)
_FINISH = {
    FinishReason.STOP: "stopped",
    FinishReason.LENGTH: "cut at its token limit",
    FinishReason.REPEAT: "ended: it only repeated itself",
    FinishReason.REFUSED: "refused",
    FinishReason.CANCELLED: "cancelled",
    FinishReason.UNKNOWN: "ended, the server did not say why",
}
_BEGINNINGS = {Stage.INSTRUCTIONS: _NUMBERS, Stage.CLASSIFY: _MARKERS, Stage.INSTANCES: _MARKERS}
"""What parts a completion; an answer is one text."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a request: where it stands, in words; what of it the prompt has said already; and what parts it.

    `before` is the number or the words that the completion goes on from, `beginnings` the stage whose items or fields are told apart in it,
    None for a text that is one.
    """

    place: str
    before: str = ""
    beginnings: Stage | None = None
    empty: str = ""
    """What is said while there is no text, in place of the usual."""

    @staticmethod
    def of(live: LiveRound, stage: Stage, ordinal: int, method: Method | None) -> Shown:
        """The text of `stage` at `ordinal`; an ordinal below 0 is that of a task of which nothing was asked."""
        total = max(live.stages[stage].total, sum(each is stage for each, _ in live.texts))
        if ordinal < 0:
            return Shown(_WRITTEN[stage], empty=UNASKED)
        words = f"{_WRITTEN[stage]} {ordinal + 1} of {total}" if total else _WRITTEN[stage]
        if stage is Stage.ANSWER:
            return Shown(words + _draw_words(live.text_about(stage, ordinal)))
        prompt = live.prompt(ordinal) if stage is Stage.INSTRUCTIONS else None
        if prompt is None or (method is not None and method.variant == "alpaca"):
            return Shown(words, beginnings=stage)
        if prompt.source is Source.TEMPLATE:
            return Shown(words, before=prompt.text)
        if prompt.passage is not None:
            return Shown(words, before=prompt.begun)
        begun = prompt.chat is None or bool(prompt.chat.begins)
        return Shown(words, before=f"{len(prompt.parents) + 1}." if begun else "", beginnings=stage)


def _draw_words(answer: TaskText | None) -> str:
    """Whose answer it is, and of several whether it was taken."""
    if answer is None:
        return ""
    number, count = answer.draw
    taken = f", {number}/{count} {'✓ taken' if answer.chosen else 'not taken'}" if count > 1 else ""
    return f" · task #{answer.task_id}{taken}"


def coloured(shown: Shown, text: str, start: int = 0) -> Content:
    """Clean a completion from the character `start` on, colour what begins an item or a field, and dim thoughts."""
    parts: list[str | tuple[str, str]] = [(display(shown.before), MUTED)] if shown.before and not start else []
    pattern = _BEGINNINGS.get(shown.beginnings) if shown.beginnings is not None else None
    for piece, thought in told_apart(text, start):
        at = len(piece) if thought else 0
        if thought:
            parts.append((display(piece), MUTED))
        for match in pattern.finditer(piece, at) if pattern is not None else ():
            parts += [display(piece[at : match.start()]), (display(match.group()), "$accent bold")]
            at = match.end()
        parts.append(display(piece[at:]))
    return Content.assemble(*parts)


class Stream(Pane):
    """The text of one request: live while it comes, with its finish reason and token count afterwards."""

    HELP = """
    The completion, character by character as the model wrote it; control characters show as visible marks.
    Numbers that begin a new item are coloured: there the text falls apart into candidates. What the model thinks first is dimmed. Scroll up
    to read in peace while it goes on. `[` and `]` go from text to text; of several answers to one instance the title says which was taken.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._place = self._text = ""

    def compose(self) -> ComposeResult:
        yield Static(Content.styled(EMPTY, MUTED), markup=False)

    def show(self, shown: Shown, live: LiveText | None, tokens_per_second: float, *, running: bool) -> None:
        """Show `live`, which is the text of `shown`; None when there is nothing yet. `running` tells whether its stage is under way."""
        text, place = live.text if live is not None else "", shown.place
        if place != self._place or not text.startswith(self._text):
            # What is being written is read at its end until somebody scrolls away from there; what is complete, from its beginning.
            self.begin(at_its_end=live is not None and live.completion is None)
        self._place, self._text = place, text
        if live is None:
            self.border_title = Content(place)
            content = Content.styled(shown.empty or (READING if running else EMPTY), MUTED)
        else:
            self.border_title = Content(f"{place} · {self._state(live, tokens_per_second)}")
            cut = max(len(text) - SHOWN, 0)
            content = coloured(shown, text, cut)
        self.query_one(Static).update(content)
        self.follow()

    def _state(self, live: LiveText, tokens_per_second: float) -> str:
        if live.completion is None:
            rate = f" · {tokens_per_second:.0f} tokens/s" if tokens_per_second else ""
            return f"writing{rate}" if live.count else "waiting"
        done = live.completion
        tokens = f" · {done.completion_tokens} tokens" if done.completion_tokens else ""
        at = f" at {_visible(done.detail)}" if done.finish_reason is FinishReason.STOP and done.detail else ""
        return f"{_FINISH[done.finish_reason]}{at}{tokens}"


def _visible(text: str) -> str:
    return display_line(text.replace("\n", "⏎"), 12)
