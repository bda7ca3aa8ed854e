"""Whom a task descends from, up to the seeds, and what descends from it: a tree that is read a generation at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from studio.errors import StudioError
from studio.pool.browse import Relative
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line
from studio.tui.latest import start_latest
from studio.tui.pool_access import PoolAccess

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
        Binding("j", "cursor_down", "Down", id="lineage.down", tooltip="The node below", show=False),
        Binding("k", "cursor_up", "Up", id="lineage.up", tooltip="The node above", show=False),
        Binding("asterisk", "open_all", "Open all", id="lineage.all", tooltip="Open all generations up to the seeds", show=False),
    ]

    class Chosen(Message):
        """Enter on a task: show it."""

        def __init__(self, task_id: int) -> None:
            super().__init__()
            self.task_id = task_id

    class Failed(Message):
        def __init__(self, error: StudioError) -> None:
            super().__init__()
            self.error = error

    DEFAULT_CSS = "LineageTree { overflow-x: hidden; }"

    def __init__(self, access: PoolAccess, *, id: str | None = None) -> None:
        super().__init__(Text("no task"), id=id)
        self._access = access
        self.show_root = False
        self.auto_expand = False
        self.guide_depth = 3

    async def show_task(self, task_id: int) -> None:
        """Show the lineage of a task, its parents and children open."""
        family = await self._access.ask(lambda pool: pool.relatives([task_id]))
        self.clear()
        for one in family:
            parents = f"parents ({one.parents})" if one.parents else f"no parents: it is {_kind(one.origin)}"
            up = self.root.add(Text(parents, style="bold"), Branch(task_id, True), allow_expand=one.parents > 0)
            children = f"descendants ({one.children:,})" if one.children else "no descendants"
            down = self.root.add(Text(children, style="bold"), Branch(task_id, False), allow_expand=one.children > 0)
            for node in (up, down):
                if node.allow_expand:
                    await self._open(node)

    async def show_parents(self, ids: list[int]) -> None:
        """Show the lineage of a candidate: the in-context tasks of its request."""
        family = await self._access.ask(lambda pool: pool.relatives(ids))
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
            self.post_message(self.Failed(error))
            return False
        return True

    async def _open(self, node: TreeNode[Branch]) -> None:
        branch = node.data
        if branch is None:
            return

        def family(pool: Queries) -> list[Relative]:
            ids = pool.parent_ids(branch.task_id) if branch.up else pool.child_ids(branch.task_id, CHILDREN)
            return pool.relatives(ids)

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


def _kind(origin: Origin) -> str:
    return {Origin.SEED: "a seed", Origin.IMPORTED: "imported", Origin.GENERATED: "generated"}[origin]
