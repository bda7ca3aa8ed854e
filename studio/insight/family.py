"""The lineage of one task: its ancestors up to the seeds, and its descendants, each task once and a bounded number of them.

As a tree for a terminal, too; instructions are shown harmless and are never markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.text import Text

from studio.insight.story import parse_reference
from studio.pool.lineage import Kin
from studio.pool.pool import Queries
from studio.records import TaskState
from studio.text import display_line

LIMIT = 200
"""Tasks in either direction, where nothing else is asked for."""

Next = Callable[[Sequence[int], int], tuple[dict[int, list[int]], dict[int, int]]]
"""Takes some tasks and how many of their kin are wanted; gives the kin of each in their order, and how many more it has."""
_WIDTH = 90


@dataclass(frozen=True, slots=True)
class Member:
    """A task of the tree, the tasks that follow it (parents above, children below), and how many more it has than are in the tree."""

    kin: Kin
    next: tuple[int, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Family:
    """What `studio show --tree` shows: `parents` begin the `ancestors`, `children` the `descendants`; both hold every task named in them.

    `name` is the task's or candidate's; `parents_left_out` and `children_left_out` count those that are not in the tree.
    """

    name: str
    text: str
    parents: tuple[int, ...]
    parents_left_out: int
    ancestors: Mapping[int, Member]
    children: tuple[int, ...]
    children_left_out: int
    descendants: Mapping[int, Member]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""

        def plain(members: Mapping[int, Member], following: str) -> list[dict[str, Any]]:
            return [{**asdict(each.kin), following: list(each.next), "left_out": each.left_out} for each in members.values()]

        return {
            "name": self.name,
            "text": self.text,
            "parents": list(self.parents),
            "parents_left_out": self.parents_left_out,
            "ancestors": plain(self.ancestors, "parents"),
            "children": list(self.children),
            "children_left_out": self.children_left_out,
            "descendants": plain(self.descendants, "children"),
        }


def family_of(pool: Queries, reference: str, limit: int = LIMIT) -> Family:
    """Return the lineage of the task or candidate that `reference` names, with at most `limit` tasks in either direction.

    The nearest generations are taken first. A candidate that became a task has that task's descendants. Raises UsageError when `reference`
    names nothing, PoolError when the pool has none of that id.
    """
    kind, number = parse_reference(reference)
    if kind == "candidate":
        candidate = pool.candidates.get(number)
        request = pool.candidates.request(candidate.id)
        name, text, task_id = f"candidate c{number}", candidate.text, candidate.task_id
        parents = list(request.parents) if request else []
    else:
        task = pool.tasks.get(number)
        name, text, task_id = f"task {number}", task.instruction, number
        parents = pool.lineage.parents_of([number]).get(number, [])

    def upwards(ids: Sequence[int], _: int) -> tuple[dict[int, list[int]], dict[int, int]]:
        return pool.lineage.parents_of(ids), {}

    def downwards(ids: Sequence[int], wanted: int) -> tuple[dict[int, list[int]], dict[int, int]]:
        found = {each: pool.lineage.children(each, wanted) for each in ids}
        return found, {each: pool.lineage.child_count(each) - wanted for each, children in found.items() if len(children) == wanted}

    first = downwards([task_id], limit) if task_id is not None else ({}, {})
    children = first[0].get(task_id or 0, [])
    ancestors = _collected(pool, parents, upwards, limit)
    shown = tuple(each for each in parents if each in ancestors)
    return Family(
        name=name,
        text=text,
        parents=shown,
        parents_left_out=len(parents) - len(shown),
        ancestors=ancestors,
        children=tuple(children),
        children_left_out=first[1].get(task_id or 0, 0),
        descendants=_collected(pool, children, downwards, limit),
    )


def _collected(pool: Queries, first: Sequence[int], following: Next, limit: int) -> dict[int, Member]:
    """The tasks that are reached from `first`, a generation at a time until there are `limit`."""
    found: dict[int, Member] = {}
    generation = list(dict.fromkeys(first))[:limit]
    kin: dict[int, list[int]] = {}
    more: dict[int, int] = {}
    taken = dict.fromkeys(generation)
    while generation:
        nearest, beyond = following(generation, limit - len(taken) + 1)
        kin |= nearest
        more |= beyond
        fresh = dict.fromkeys(each for task_id in generation for each in nearest.get(task_id, ()) if each not in taken)
        generation = list(fresh)[: limit - len(taken)]
        taken |= dict.fromkeys(generation)
    for task_id, row in pool.lineage.kin(list(taken)).items():
        shown = tuple(each for each in kin.get(task_id, ()) if each in taken)
        found[task_id] = Member(row, shown, len(kin.get(task_id, ())) - len(shown) + more.get(task_id, 0))
    return found


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


def _tree(first: Sequence[int], members: Mapping[int, Member], left_out: int) -> Iterator[Text]:
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
        member = members[task_id]
        if task_id in seen:
            yield Text(f"{guides}{task_id} (above)")
            continue
        seen.add(task_id)
        yield Text(guides + _label(member))
        del open_levels[level:]
        open_levels.append(not last)
        stack.append(_level(member.next, member.left_out))


def _level(ids: Sequence[int], left_out: int) -> Iterator[tuple[int | None, int, bool]]:
    """The tasks of one level, how many are left out after them, and for each whether it is the last line of its level."""
    for place, task_id in enumerate(ids):
        yield task_id, 0, place == len(ids) - 1 and not left_out
    if left_out > 0:
        yield None, left_out, True


def _label(member: Member) -> str:
    kin = member.kin
    joined = f", round {kin.round}" if kin.round is not None else ""
    state = f", {kin.state}" if kin.state is not TaskState.ACTIVE else ""
    return f"{kin.id} ({kin.origin}{joined}{state}) {display_line(kin.text, _WIDTH)}"
