"""A pool's lineage as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight.bars import bar
from studio.insight.lineage import Depth, Lineage, Root
from studio.insight.report_tables import plain_table
from studio.text import display_line

ROOTS_SHOWN = 15
GROUPS = 12
"""Lines for the generations; of more of them, neighbours are summed up."""
_WIDTH = 60


def lineage_report(found: Lineage) -> Group:
    """Which seeds bear fruit and which do not, and what happens from generation to generation."""
    if not found.generated:
        return Group(Text("no generated task yet: nothing descends from anything"))
    barren = found.barren
    head = (
        f"{found.generated:,} generated tasks, on average {found.mean_depth:.1f} generations from the seeds, at most {found.deepest:,};"
        f" {len(barren):,} of {len(found.roots):,} seeds and imports have no descendant"
    )
    parts: list[Table | Text] = [Text(head), Text(), _depths(found.depths), Text(), *_roots(found.roots)]
    if barren:
        parts += [Text(), Text("without a descendant", style="bold"), *_barren(barren)]
    return Group(*parts)


def summed(depths: Sequence[Depth], most: int = GROUPS) -> Iterator[tuple[str, Depth]]:
    """Yield at most `most` lines, neighbouring generations summed up, each with its label."""
    size = max(-(-len(depths) // most), 1)
    for start in range(0, len(depths), size):
        group = depths[start : start + size]
        accepted = sum(each.accepted for each in group)
        label = f"{group[0].depth:,}" if len(group) == 1 else f"{group[0].depth:,} to {group[-1].depth:,}"
        yield (
            label,
            Depth(
                depth=group[0].depth,
                candidates=sum(each.candidates for each in group),
                accepted=accepted,
                tasks=sum(each.tasks for each in group),
                mean_seed_score=sum(each.mean_seed_score * each.accepted for each in group) / (accepted or 1),
                mean_score=sum(each.mean_score * each.accepted for each in group) / (accepted or 1),
            ),
        )


def _depths(depths: Sequence[Depth]) -> Table:
    table = plain_table("generation", "candidates", "tasks", "accepted", "ROUGE-L to a seed", "to any task")
    table.columns[0].justify = "right"
    table.columns[3].justify = "left"
    for label, each in summed(depths):
        accepted = f"{bar(each.acceptance_rate, 10)} {each.acceptance_rate:.1%}"
        table.add_row(label, f"{each.candidates:,}", f"{each.tasks:,}", accepted, f"{each.mean_seed_score:.3f}", f"{each.mean_score:.3f}")
    return table


def _roots(roots: Sequence[Root]) -> Iterator[Text]:
    """Lines of a table, which are cut at the edge of the terminal rather than wrapped."""
    yield Text(f"{'most descendants':<18}{'descendants':>12}{'children':>11}{'credit':>12}{'accepted':>10}{'prompts':>10}", style="bold")
    for root in roots[:ROOTS_SHOWN]:
        if root.descendants:
            figures = f"{root.descendants:>12,}{root.children:>11,}{root.credit:>12,.1f}{root.acceptance_rate:>10.0%}{root.contexts:>10,}"
            line = f"{f'{root.origin} {root.id}':<18}{figures}  {display_line(root.instruction, _WIDTH)}"
            yield Text(line, no_wrap=True, overflow="ellipsis")


def _barren(barren: Sequence[Root]) -> Iterator[Text]:
    for root in barren[:ROOTS_SHOWN]:
        stood = f"in {root.contexts:,} prompts" if root.contexts else "never in a prompt"
        yield Text(f"{root.origin} {root.id}, {stood}: {display_line(root.instruction, _WIDTH)}")
    if len(barren) > ROOTS_SHOWN:
        yield Text(f"and {len(barren) - ROOTS_SHOWN:,} more")
