"""The in-context tasks of one prompt, which is what the model is shown before it goes on with the list; and one of them whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Region
from textual.reactive import reactive
from textual.widgets import Static

from studio.engine.api import Chat
from studio.insight.quality import source_words
from studio.records import Source, Task
from studio.text import display_line
from studio.tui.cells import POINTER, cut, fit
from studio.tui.keys import bind
from studio.tui.round.prompt import PromptDialog, ReadDialog, told
from studio.tui.round.view import Prompt
from studio.tui.widgets.pane import Pane

_SHOWN = 20_000
"""Characters of a text that are drawn; `studio show` has all of them."""
_KINDS = {None: "nobody has said whether it is a classification task", True: "a classification task", False: "not a classification task"}


class TaskDialog(ReadDialog):
    """Instruction, class and instances; the instruction is copied."""

    HELP = "A task as the prompt has it, and its instances. `ctrl+c` sends the instruction to the clipboard, `escape` closes the window."

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("copy", "copy", "Copy", "Send the instruction to the clipboard."),
    ]

    def __init__(self, task: Task) -> None:
        super().__init__(f"Task #{task.id} · {task.origin}", Content.assemble(*_parts(task)), task.instruction)


def _parts(task: Task) -> Iterator[str | tuple[str, str]]:
    yield cut(task.instruction, _SHOWN)
    yield (f"\n\n{_KINDS[task.is_classification]}", "$foreground-muted")
    for instance in task.instances:
        yield "\n"
        for name, text in (("input", instance.input), ("output", instance.output)):
            if text:
                yield (f"\n{name}\n", "$foreground-muted")
                yield cut(text, _SHOWN)


EMPTY = "The tasks that the next prompt shows the model appear here.\nPress s: the first stage draws them."

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
        self._prompt: Prompt | None = None

    def compose(self) -> ComposeResult:
        """One static, drawn anew for each prompt."""
        yield Static(EMPTY, markup=False, classes="empty")

    def show(self, prompts: Sequence[Prompt], ordinal: int) -> None:
        """Show the prompt at `ordinal`; nothing when there is none."""
        if not prompts:
            self._tasks, self._prompt = (), None
            self.border_title = Content("In context")
        else:
            at = min(max(ordinal, 0), len(prompts) - 1)
            self.ordinal = at
            prompt = prompts[at]
            if prompt.ordinal != (self._prompt.ordinal if self._prompt is not None else -1):
                self.begin()
            self._tasks, self._prompt = prompt.parents, prompt
            self.cursor = min(self.cursor, max(len(self._tasks) - 1, 0))
            head = "Passage" if prompt.passage is not None else "Template" if prompt.source is Source.TEMPLATE else "In context"
            self.border_title = Content(f"{head} · prompt {at + 1} of {len(prompts)}")
        self._draw()

    @property
    def chosen(self) -> Task | None:
        """The task under the cursor."""
        return self._tasks[self.cursor] if self._tasks else None

    @property
    def prompt(self) -> Prompt | None:
        """The prompt that is shown."""
        return self._prompt

    def validate_cursor(self, cursor: int) -> int:
        """Stay within the tasks."""
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
        if self._prompt is not None:
            self.app.push_screen(PromptDialog(self._prompt))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """There is nothing to open before the first tasks are drawn."""
        return action != "open" or self._prompt is not None

    def on_click(self, event: Click) -> None:
        """A click picks the task, another one opens it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if not self._tasks:
            if event.chain == 2:
                self.action_open()
            return
        self.cursor = offset.y + round(self.scroll_y)
        if event.chain == 2:
            self.action_open()

    def on_focus(self) -> None:
        """The cursor shows where the focus is, brightly."""
        self._draw()

    def on_blur(self) -> None:
        """And faintly elsewhere: `w` swaps the task under it from any pane."""
        self._draw()

    def on_resize(self) -> None:
        """Lines are cut to the width."""
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        static = self.query_one(Static)
        static.set_class(self._prompt is None, "empty")
        width = self.scrollable_content_region.width
        if self._prompt is None or not self._tasks:
            static.update(Content(EMPTY) if self._prompt is None else _without_tasks(self._prompt))
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
        if self._prompt.chat is not None:
            lines.append(Content.styled(fit(f"  {_standing(self._prompt.chat)} · P shows it", width), "$foreground-muted"))
        static.update(Content("\n").join(lines))


def _without_tasks(prompt: Prompt) -> Content:
    """What the model is shown where there are no in-context tasks: a passage, or nothing but its template."""
    if prompt.passage is None:
        return told(prompt, _SHOWN)
    found = prompt.passage
    head = f"{display_line(found.place)} · {display_line(found.document.licence) or 'licence not stated'}\n"
    behind = f"\n{source_words(prompt.source)} · P shows the prompt"
    return Content.assemble((head, "$foreground-muted bold"), cut(found.passage.text, _SHOWN), (behind, "$foreground-muted"))


def _standing(chat: Chat) -> str:
    """In which turn of a chat the tasks stand."""
    if chat.writes_request:
        return "in the system turn; the model writes the user's"
    return "the model's turn begins with this list" if chat.begins else "in the user's turn; the model answers"
