"""`studio models optimize`: a copy of a model that this machine runs faster, measured against the original."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.arguments import OUTPUT
from studio.cli.printing import print_json

if TYPE_CHECKING:
    from studio.engine.optimize import Comparison

MEASURED = ("size", "prompt_tok_s", "decode_tok_s", "perplexity")


@click.command("optimize")
@click.argument("model", default="", metavar="[MODEL]")
@click.option(
    "--to",
    type=click.Choice(["q4_0", "q8_0"], case_sensitive=False),
    default="q8_0",
    show_default=True,
    help="Quantisation: q8_0 keeps the quality, q4_0 is faster and smaller.",
)
@click.option("-o", "--output", type=OUTPUT, metavar="FILE", help="The copy. [your models folder, named after both]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--threads", type=click.IntRange(min=0), default=0, metavar="N", help="CPU threads; 0 is the physical cores. [0]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: str, to: str, output: Path | None, force: bool, threads: int, as_json: bool) -> None:
    """Copy MODEL (a name or path; the bundled one by default) in a quantisation that CPUs are fast with, and compare the two.

    llama.cpp repacks Q4_0 and Q8_0 for the CPU's wide registers. Quantising again what is quantised already costs quality, so both files
    are measured before the copy is put in its place:

    Speed: one prompt of 512 tokens, and 16 sequences that go on for 32 tokens each; original and copy in turn, medians of 3.

    Perplexity: of the bundled seed tasks (instruction, first input and output, in their order), 8 windows of 512 tokens, each evaluated
    alone, the second half of each scored: 2,040 tokens. Lower is better; it says how well the model predicts such text, not how good the
    data will be.
    """
    from studio.engine.catalog import find_model
    from studio.engine.optimize import optimize

    compared = optimize(find_model(model), to.upper(), output, seed_text(), _say, force=force, threads=threads)
    if as_json:
        print_json(as_dict(compared))
    else:
        _table(compared)
    click.echo(f"use it with: studio run POOL --model {_name(compared.copy.path)}", err=True)


def seed_text() -> str:
    """Return the text that perplexity is measured on."""
    from studio.seeds.bundled import bundled_seeds
    from studio.seeds.reading import read_tasks

    parts = ((task.instruction, task.instances[0].input, task.instances[0].output) for task in read_tasks(bundled_seeds()))
    return "\n\n".join("\n".join(text for text in part if text) for part in parts)


def as_dict(compared: Comparison) -> dict[str, Any]:
    """Return the figures as plain values; changes in per cent."""
    return {
        "original": {**asdict(compared.original), "path": str(compared.original.path)},
        "copy": {**asdict(compared.copy), "path": str(compared.copy.path)},
        "change_percent": {name: round(compared.change(name), 2) for name in MEASURED},
        "perplexity_change_error": round(compared.perplexity_error, 2),
        "scored_tokens": compared.scored_tokens,
    }


def _say(text: str) -> None:
    click.echo(text, err=True)


def _name(path: Path) -> str:
    """Return what to give to --model: the plain name where models are looked for, the path elsewhere."""
    import shlex

    from studio.engine.catalog import models_folders
    from studio.text import display_line

    known = any(folder.is_dir() and folder.resolve() == path.parent.resolve() for folder in models_folders())
    return display_line(shlex.quote(path.stem if known else str(path)))


def _table(compared: Comparison) -> None:
    from studio.text import display_line

    before, after = compared.original, compared.copy
    rows = [
        ("", "original", "copy", "change"),
        ("quantisation", before.quantisation or "?", after.quantisation, ""),
        ("size, MB", f"{before.size / 1e6:,.1f}", f"{after.size / 1e6:,.1f}", f"{compared.change('size'):+.1f} %"),
    ]
    for name, label in (("prompt_tok_s", "prompt, tokens/s"), ("decode_tok_s", "16 sequences, tokens/s")):
        rows.append((label, f"{getattr(before, name):.0f}", f"{getattr(after, name):.0f}", f"{compared.change(name):+.0f} %"))
    error = f"{compared.change('perplexity'):+.1f} % (± {compared.perplexity_error:.1f})"
    rows.append((f"perplexity, {compared.scored_tokens:,} tokens", f"{before.perplexity:.3f}", f"{after.perplexity:.3f}", error))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join((first, *others)).rstrip())
    click.echo(f"copy: {display_line(str(after.path))}")
