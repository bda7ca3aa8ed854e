"""`studio overlap`: how much one file of tasks has in common with another."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli.arguments import INPUT
from studio.cli.printing import print_json, print_tables

_ORIGINS = ("seed", "generated", "imported")


@click.command()
@click.argument("ours", type=INPUT, metavar="FILE")
@click.argument("theirs", type=INPUT, metavar="OTHER")
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="How many of the most similar pairs to list.")
@click.option("--origin", type=click.Choice(_ORIGINS), help="Take only these tasks of a pool. Without it: all active ones.")
@click.option(
    "--tokenizer",
    type=click.Choice(("unicode", "ascii")),
    default="unicode",
    show_default=True,
    help="unicode: words of every script; ascii: exactly as the rouge_score package.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(ours: Path, theirs: Path, top: int, origin: str | None, tokenizer: str, as_json: bool) -> None:
    """Compare the tasks of FILE with those of OTHER: pools, or files in any format that `studio import` reads.

    Prints the mean over FILE's tasks of the highest ROUGE-L of the instruction to any of OTHER's, its histogram, and the most similar
    pairs; and how many tasks of FILE share eight tokens in a row with OTHER, in an instruction, an input or an output. With an evaluation
    set as OTHER that is the contamination check: studio overlap pool.db eval.jsonl --origin generated
    """
    from studio.cli.progress import progress_bar
    from studio.insight.overlap.corpus import open_source
    from studio.insight.overlap.files import compare_files
    from studio.records import Origin
    from studio.text import display_line

    if ours.resolve() == theirs.resolve():
        click.echo("both are the same file: each task meets itself", err=True)
    wanted = None if origin is None else Origin(origin)
    one, other = open_source(ours, wanted), open_source(theirs, wanted)
    for path, source in ((ours, one), (theirs, other)):
        for note in source.notes:
            click.echo(display_line(f"{path}: {note}"), err=True)
    with progress_bar() as report:
        found = compare_files(one, other, top=top, tokenizer=tokenizer, report=report)
    if as_json:
        print_json({"file": str(ours), "other": str(theirs), **found.as_dict()})
        return

    from studio.insight.overlap.files import comparison_report

    print_tables(comparison_report(found, str(ours), str(theirs)), soft_wrap=True)
