"""All about the row under the cursor: its story as one text, and its lineage as a tree that is read a generation at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TabbedContent, TabPane, Tree
from textual.widgets.tree import TreeNode

from studio.errors import StudioError
from studio.insight.story import Story, story_of
from studio.insight.story_report import Line, Role, answer_line, story_sections
from studio.pool.browse import Kind
from studio.pool.instances import InstanceRecord
from studio.pool.lineage import Relative
from studio.pool.pool import Queries
from studio.records import Origin, Verdict
from studio.text import display_line
from studio.tui.base import ReadFailed, start_latest
from studio.tui.keys import bind
from studio.tui.steering import PoolAccess
from studio.tui.widgets.frame import SHOWN, Pane

CHILDREN = 200
"""Descendants shown of one task; a seed may have a hundred thousand."""
_ALL = 400
"""Nodes after which opening everything ends: eight parents a generation are soon more than a screen can say."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A node: the task `task_id`, opened towards its parents (`up`) or its children. `relative` is None for the two first branches."""

    task_id: int
    up: bool
    relative: Relative | None = None


class LineageTree(Tree[Branch]):
    """The lineage of one task or, of a candidate, that of its in-context tasks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("down", "cursor_down", "Down", "The node below", show=False),
        bind("up", "cursor_up", "Up", "The node above", show=False),
        bind("open-all", "open_all", "Open all", "Open all generations up to the seeds", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter on a task: show it."""

        task_id: int

    DEFAULT_CSS = "LineageTree { overflow-x: hidden; }"

    def __init__(self, access: PoolAccess, *, id: str | None = None) -> None:
        super().__init__(Text("no task"), id=id)
        self._access = access
        self.show_root = False
        self.auto_expand = False
        self.guide_depth = 3

    async def show_task(self, task_id: int) -> None:
        """Show the lineage of a task, its parents and children open."""
        family = await self._access.ask(lambda pool: pool.lineage.relatives([task_id]))
        self.clear()
        for one in family:
            # With the number: in a narrow window neither the list nor the story beside it tells whose lineage this is.
            parents = f"parents of task {one.id} ({one.parents})" if one.parents else f"task {one.id} has no parents: {_origin(one.origin)}"
            up = self.root.add(Text(parents, style="bold"), Branch(task_id, True), allow_expand=one.parents > 0)
            children = f"descendants ({one.children:,})" if one.children else "no descendants"
            down = self.root.add(Text(children, style="bold"), Branch(task_id, False), allow_expand=one.children > 0)
            for node in (up, down):
                if node.allow_expand:
                    await self._open(node)

    async def show_parents(self, ids: list[int]) -> None:
        """Show the lineage of a candidate: the in-context tasks of its request."""
        family = await self._access.ask(lambda pool: pool.lineage.relatives(ids))
        self.clear()
        top = self.root.add(Text(f"parents ({len(family)})", style="bold"), Branch(0, True), expand=True)
        for one in family:
            _add(top, one, up=True)

    async def _on_tree_node_expanded(self, event: Tree.NodeExpanded[Branch]) -> None:
        event.stop()
        if event.node.data is not None and not event.node.children:
            await self._guarded(event.node)

    def _on_tree_node_selected(self, event: Tree.NodeSelected[Branch]) -> None:
        event.stop()
        if event.node.data is not None and event.node.data.relative is not None:
            self.post_message(self.Chosen(event.node.data.task_id))

    def render_label(self, node: TreeNode[Branch], base_style: Style, style: Style) -> Text:
        """A node's line; what does not fit the pane ends with `…`."""
        label = super().render_label(node, base_style, style)
        depth, above = 0, node.parent
        while above is not None and above.parent is not None:
            depth, above = depth + 1, above.parent
        label.truncate(max(self.scrollable_content_region.width - depth * self.guide_depth, 1), overflow="ellipsis")
        return label

    def action_open_all(self) -> None:
        """Open the generations above, each task once, until the seeds or until there are too many."""
        start_latest(self, "open-all", self._open_all)

    async def _open_all(self) -> None:
        seen: set[int] = set()
        waiting = list(self.root.children[:1])
        nodes = 0
        while waiting and nodes < _ALL:
            node = waiting.pop(0)
            data = node.data
            if data is None or not node.allow_expand or (data.relative is not None and data.task_id in seen):
                continue
            if data.relative is not None:
                seen.add(data.task_id)
            if not node.children and not await self._guarded(node):
                return
            node.expand()
            nodes += len(node.children)
            waiting += node.children

    async def _guarded(self, node: TreeNode[Branch]) -> bool:
        try:
            await self._open(node)
        except StudioError as error:
            self.post_message(ReadFailed(error))
            return False
        return True

    async def _open(self, node: TreeNode[Branch]) -> None:
        branch = node.data
        if branch is None:
            return

        def family(pool: Queries) -> list[Relative]:
            ids = pool.lineage.parents(branch.task_id) if branch.up else pool.lineage.children(branch.task_id, CHILDREN)
            return pool.lineage.relatives(ids)

        found = await self._access.ask(family)
        if node.children:
            return
        for one in found:
            _add(node, one, up=branch.up)
        if len(found) == CHILDREN and not branch.up:
            node.add_leaf(Text(f"… the first {CHILDREN} are shown", style="dim"))
        node.expand()


def _add(node: TreeNode[Branch], one: Relative, *, up: bool) -> None:
    label = Text.assemble((f"{one.id} ", "bold"), (f"{one.origin}", "dim"), " ", display_line(one.text, 200))
    node.add(label, Branch(one.id, up, one), allow_expand=(one.parents if up else one.children) > 0)


def _origin(origin: Origin) -> str:
    """Why a task has no parents."""
    words = {Origin.SEED: "it is a seed", Origin.IMPORTED: "it is imported"}
    return words.get(origin, "no task was shown to the model when it wrote it")


_MOST = 60_000
"""Characters of a story that are drawn: a task may have thousands of instances."""

Part = str | tuple[str, str]

_STYLES: dict[Role, str] = {
    "": "",
    "bold": "bold",
    "muted": "$text-muted",
    "thought": "$text-muted",
    "good": "$text-success",
    "bad": "$text-error",
    "warning": "bold $text-warning",
}


def story_text(story: Story) -> Content:
    """The story, most important first; all of it is cleaned text, none of it markup."""
    return Content.assemble(*_to_its_end(_parts(story)))


def _to_its_end(parts: Iterator[Part]) -> Iterator[Part]:
    """All of `parts`, or as many as can be drawn and that there are more."""
    room = _MOST
    for part in parts:
        room -= len(part if isinstance(part, str) else part[0])
        if room < 0:
            yield ("\n… and more, which `studio show` has\n", "bold $text-warning")
            return
        yield part


def _parts(story: Story) -> Iterator[Part]:
    for section in story_sections(story, most=SHOWN, bars=True):
        if section.title:
            yield "\n"
            yield (f"{section.title}\n", "bold $text-primary")
        for line in section.lines:
            yield from _styled(line)
        if not section.title:
            yield from _styled(answer_line(story))


def _styled(line: Line) -> Iterator[Part]:
    yield from ((words, _STYLES[role]) for words, role in line if words)
    yield "\n"


_SETTLE_S = 0.05
"""How long the cursor stays on a row before its story is read: holding a key down reads none."""


class TaskDetail(Vertical):
    """Shows a task or a candidate by its id."""

    DEFAULT_CSS = """
    TaskDetail Pane, TaskDetail Pane:focus, TaskDetail Pane:focus-within { border-top: none; height: 1fr; }
    TaskDetail TabPane { padding: 0; }
    TaskDetail ContentSwitcher, TaskDetail TabbedContent { height: 1fr; }
    TaskDetail LineageTree { height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    """

    class Shown(Message):
        """Another story, or a newer one, is shown."""

    def __init__(self, access: PoolAccess) -> None:
        super().__init__()
        self._access = access
        self.story: Story | None = None
        self._drawn = ""
        self.shown = ""
        """The reference of `story`."""
        self.wanted = ""
        """The reference of the story that is shown, or is on its way; empty when there is none."""

    def compose(self) -> ComposeResult:
        with TabbedContent():
            with TabPane("Story", id="story"), Pane(id="story-pane"):
                yield Static(id="story-text", markup=False)
            with TabPane("Lineage", id="lineage"):
                yield LineageTree(self._access, id="tree")

    def show_row(self, kind: Kind, row_id: int | None) -> None:
        """Show another row, or none; the one on its way is dropped."""
        self.wanted = reference_of(kind, row_id)
        if not self.wanted:
            for group in ("detail", "lineage"):
                self.workers.cancel_group(self, group)
            self.story, self.shown, self._drawn = None, "", ""
            self.query_one("#story-text", Static).update(Content(""))
            self.query_one(LineageTree).clear()
            return
        start_latest(self, "detail", self._show, self.wanted, _SETTLE_S)

    def show_again(self) -> None:
        """Read what is shown once more: somebody may have changed it."""
        if self.wanted:
            start_latest(self, "detail", self._show, self.wanted, 0.0)

    def show_lineage(self) -> None:
        """Turn to the lineage, or back to the story."""
        tabs = self.query_one(TabbedContent)
        if tabs.active == "lineage":
            tabs.active = "story"
            self.focus_text()
        else:
            tabs.active = "lineage"
            self.query_one(LineageTree).focus()

    def focus_text(self) -> None:
        """Go to the story, to scroll in it."""
        self.query_one(TabbedContent).active = "story"
        self.query_one("#story-pane").focus()

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        event.stop()
        start_latest(self, "lineage", self._draw_lineage)

    async def _show(self, reference: str, settle_s: float) -> None:
        await asyncio.sleep(settle_s)

        try:
            story = await self._access.ask(lambda pool: story_of(pool, reference))
        except StudioError as error:
            self.post_message(ReadFailed(error))
            return
        if reference != self.wanted:
            return
        self.story = story
        self.query_one("#story-text", Static).update(story_text(story))
        if reference != self.shown:
            self.shown = reference
            self.query_one("#story-pane").scroll_home(animate=False)
        self.post_message(self.Shown())
        await self._draw_lineage()

    async def _draw_lineage(self) -> None:
        story, tree = self.story, self.query_one(LineageTree)
        if story is None or self.shown == self._drawn or self.query_one(TabbedContent).active != "lineage":
            return
        # Once for each task: whoever has opened its branches keeps them when the pool grows.
        self._drawn = self.shown
        try:
            if story.task is not None:
                await tree.show_task(story.task.id)
            else:
                await tree.show_parents([parent.id for parent in story.parents])
        except StudioError as error:
            self._drawn = ""
            self.post_message(ReadFailed(error))


def reference_of(kind: Kind, row_id: int | None) -> str:
    """How a row is called, `t12` or `c12`; empty for none."""
    return "" if row_id is None else f"{'t' if kind is Kind.TASKS else 'c'}{row_id}"


def as_text(story: Story) -> str:
    """A task with its accepted instances, or a candidate, as plain text."""
    text = story.task.instruction if story.task is not None else story.candidate.text if story.candidate is not None else ""
    kept = [each for each in story.instances if each.verdict is Verdict.ACCEPTED]
    return "\n\n".join([text, *map(_copied, kept)])


def _copied(instance: InstanceRecord) -> str:
    around = ((f"System: {instance.system}\n" if instance.system else ""), (f"Input: {instance.input}\n" if instance.input else ""))
    behind = (f"\n{turn.role.capitalize()}: {turn.text}" for turn in instance.turns)
    return "".join((*around, f"Output: {instance.output}", *behind))
