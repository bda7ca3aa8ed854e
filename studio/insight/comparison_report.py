"""The overlap of two files as text for a terminal. Instructions are shown harmless and are never markup."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from studio.insight.bars import counted_bins
from studio.insight.comparison import FileOverlap, SimilarTasks
from studio.text import display_line

_WIDTH = 100


def comparison_report(found: FileOverlap, ours: str, theirs: str) -> Group:
    """Mean, histogram, shared runs of tokens and the most similar pairs."""
    names = f"{display_line(ours)} ({found.tasks:,} tasks) to {display_line(theirs)} ({found.other_tasks:,})"
    mean = f"highest ROUGE-L of an instruction: mean {found.mean:.4f}, median {found.median:.4f}"
    shared = (
        f"{found.contaminated:,} tasks ({found.contaminated_share:.1%}) share {found.ngram} tokens in a row with the other file"
        f" ({found.comparable:,} have a text that long)"
    )
    parts: list[Text] = [Text(names, style="bold"), Text(mean), Text(), *counted_bins(found.histogram), Text(), Text(shared)]
    if found.pairs:
        parts += [Text(), Text("most similar", style="bold")]
        parts += [line for pair in found.pairs for line in _pair(pair)]
    return Group(*parts)


def _pair(pair: SimilarTasks) -> tuple[Text, Text]:
    width = max(len(pair.ours), len(pair.theirs))
    return (
        Text(f"{pair.score:.4f}  {pair.ours:>{width}}  {display_line(pair.instruction, _WIDTH)}"),
        Text(f"{'':6}  {pair.theirs:>{width}}  {display_line(pair.other, _WIDTH)}"),
    )
