"""The lineage of one task as a tree for a terminal. Instructions are shown harmless and are never markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group
from rich.text import Text

from studio.insight.family import Branch, Family
from studio.records import TaskState
from studio.text import display_line

_WIDTH = 90


def family_report(family: Family) -> Group:
    """The ancestors, then the descendants; a task that stands above already is only named again."""
    parts = [Text(f"{family.name}: {display_line(family.text, _WIDTH)}", style="bold"), Text()]
    if family.parents:
        parts += [Text("descends from"), *_tree(family.parents, family.ancestors, family.parents_left_out), Text()]
    else:
        parts += [Text("descends from no other task"), Text()]
    if family.children:
        parts += [Text("its descendants"), *_tree(family.children, family.descendants, family.children_left_out)]
    else:
        parts.append(Text("it has no descendant"))
    return Group(*parts)


def _tree(first: Sequence[int], branches: Mapping[int, Branch], left_out: int) -> Iterator[Text]:
    """Each line with guides for its generation; walked with a stack, for a lineage may be deeper than Python recurses."""
    seen: set[int] = set()
    stack = [_level(first, left_out)]
    # Whether anything follows at each level, which is what the guides show.
    open_levels: list[bool] = []
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
            del open_levels[len(stack) - 1 :]
            continue
        task_id, number, last = item
        level = len(stack) - 1
        guides = "".join("│  " if each else "   " for each in open_levels[:level]) + ("└─ " if last else "├─ ")
        if task_id is None:
            yield Text(f"{guides}… {number:,} more")
            continue
        branch = branches[task_id]
        if task_id in seen:
            yield Text(f"{guides}{task_id} (above)")
            continue
        seen.add(task_id)
        yield Text(guides + _label(branch))
        del open_levels[level:]
        open_levels.append(not last)
        stack.append(_level(branch.next, branch.left_out))


def _level(ids: Sequence[int], left_out: int) -> Iterator[tuple[int | None, int, bool]]:
    """The tasks of one level, how many are left out after them, and for each whether it is the last line of its level."""
    for place, task_id in enumerate(ids):
        yield task_id, 0, place == len(ids) - 1 and not left_out
    if left_out > 0:
        yield None, left_out, True


def _label(branch: Branch) -> str:
    kin = branch.kin
    joined = f", round {kin.round}" if kin.round is not None else ""
    state = f", {kin.state}" if kin.state is not TaskState.ACTIVE else ""
    return f"{kin.id} ({kin.origin}{joined}{state}) {display_line(kin.text, _WIDTH)}"
