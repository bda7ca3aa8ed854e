"""`studio models`: which models there are, and faster copies of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.arguments import INPUT
from studio.cli.models_optimize import command as optimize
from studio.cli.printing import print_json
from studio.errors import ModelError

if TYPE_CHECKING:
    from studio.engine.catalog import CatalogEntry


class ListByDefault(click.Group):
    """Lists when no command is named: `studio models FOLDER` is `studio models list FOLDER`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault, options_metavar="", subcommand_metavar="[list | optimize] [OPTIONS] [ARGS]...")
def command() -> None:
    """List the models that can be used, or make a faster copy of one.

    Without a command: list them. `studio models FOLDER` lists the GGUF files of a folder, too, and --json gives one JSON array.
    """


command.add_command(optimize)


@command.command("list")
@click.argument("paths", nargs=-1, type=INPUT)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def listing(paths: tuple[Path, ...], as_json: bool) -> None:
    """List the models that can be used.

    The bundled model, GGUF files in ./models, $STUDIO_MODELS and your data folder, and the files or folders PATHS.
    """
    from studio.engine.catalog import list_models

    entries = list_models(paths)
    if as_json:
        print_json([_as_dict(entry) for entry in entries])
    else:
        _table([entry for entry in entries if entry.identity is not None])
    broken = [entry for entry in entries if entry.identity is None]
    _complain(broken)


def _as_dict(entry: CatalogEntry) -> dict[str, object]:
    base: dict[str, object] = {"name": entry.name, "path": str(entry.path), "source": entry.source}
    if entry.identity is None:
        return {**base, "fault": entry.fault}
    known = entry.identity
    return {
        **base,
        "parameters": known.parameters,
        "quantisation": known.quantisation,
        "context_length": known.context_length,
        "licence": known.licence,
        "architecture": known.architecture,
        "file_size": known.file_size,
        "sha256": known.sha256,
    }


def _table(entries: list[CatalogEntry]) -> None:
    """Print the figures of each model on a line, with its path on the next: paths are long, and a table would break them."""
    from studio.engine.figures import count_text, size_text
    from studio.text import display_line

    rows: list[tuple[str, ...]] = [("name", "parameters", "quantisation", "context", "licence", "size")]
    for entry in entries:
        known = entry.identity
        if known is not None:
            figures = (
                count_text(known.parameters),
                known.quantisation,
                f"{known.context_length:,}",
                known.licence,
                size_text(known.file_size),
            )
            rows.append((display_line(entry.name, 60), *(display_line(figure, 40) for figure in figures)))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    paths = ["  path", *(f"  {display_line(str(entry.path))}" for entry in entries)]
    for row, path in zip(rows, paths, strict=True):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        click.echo(path)
    if not entries:
        click.echo("no model found; put a GGUF file into models/ or give its path with --model", err=True)


def _complain(broken: list[CatalogEntry]) -> None:
    """Warn of unreadable files; one that the user named is an error."""
    from studio.text import display_line

    for entry in broken:
        if entry.source == "given":
            raise ModelError(entry.fault, "only complete GGUF files can be used")
        click.echo(f"warning: {display_line(entry.fault)}", err=True)
