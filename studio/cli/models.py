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


_NAME_WIDTH = 100
_OTHERS_TOLD = 10


class ListByDefault(click.Group):
    """Lists when no command is named: `studio models FOLDER` is `studio models list FOLDER`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault, options_metavar="", subcommand_metavar="[list | optimize] [OPTIONS] [ARGS]...")
def command() -> None:
    """List the models that can be used, or make a faster copy of one.

    Without a command: list them. `studio models FOLDER` lists the GGUF files below a folder, too, and --json gives one JSON array.
    """


command.add_command(optimize)


@command.command("list")
@click.argument("paths", nargs=-1, type=INPUT)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--sha256", "hashed", is_flag=True, help="Hash every model, which reads its files whole, once; else known hashes are told.")
def listing(paths: tuple[Path, ...], as_json: bool, hashed: bool) -> None:
    """List the models that can be used, by the names that --model takes.

    The bundled one; GGUF files below ./models, $STUDIO_MODELS and your data folder; what LM Studio, Ollama, the Hugging Face hub,
    llama.cpp, GPT4All and Jan have downloaded; and the files or folders PATHS. Only headers are read.
    """
    from studio.engine.catalog import GIVEN, list_models

    entries = list_models(paths)
    if as_json:
        print_json([_as_dict(entry, hashed) for entry in entries])
    else:
        _table([entry for entry in entries if entry.identity is not None], hashed)
    named = [entry for entry in entries if entry.fault and entry.source == GIVEN and entry.path in paths]
    _tell_of_others([entry for entry in entries if entry.fault and entry not in named])
    if named:
        raise ModelError(named[0].fault, named[0].hint)


def _as_dict(entry: CatalogEntry, hashed: bool) -> dict[str, object]:
    base: dict[str, object] = {"name": entry.name, "path": str(entry.path), "source": entry.source}
    if entry.identity is None:
        return {**base, "fault": entry.fault, "hint": entry.hint}
    known = entry.identity
    return {
        **base,
        "parameters": known.parameters,
        "quantisation": known.quantisation,
        "context_length": known.context_length,
        "licence": known.licence,
        "architecture": known.architecture,
        "file_size": known.file_size,
        "sha256": _sha256(entry, hashed) or None,
    }


def _sha256(entry: CatalogEntry, hashed: bool) -> str:
    from studio.engine.identity import identify

    known = entry.identity.sha256 if entry.identity is not None else ""
    return known or (identify(entry.path).sha256 if hashed else "")


def _table(entries: list[CatalogEntry], hashed: bool) -> None:
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
            rows.append((display_line(entry.name, _NAME_WIDTH), *(display_line(figure, 40) for figure in figures)))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    paths = ["  path", *(_place(entry, hashed) for entry in entries)]
    for row, path in zip(rows, paths, strict=True):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        click.echo(path)
    if not entries:
        click.echo("no model found; put a GGUF file into models/ or give its path with --model", err=True)


def _place(entry: CatalogEntry, hashed: bool) -> str:
    """The line below a model: where it lies, which program put it there, and of how many shards it is."""
    from studio.engine.model_file import shard_of
    from studio.text import display_line

    shards = shard_of(entry.path)[2]
    words = [str(entry.path)]
    if entry.source not in ("given", "bundled", *(str(parent) for parent in entry.path.parents)):
        words.append(f"({entry.source})")
    if shards > 1:
        words.append(f"({shards} shards)")
    if hashed:
        words.append(f"sha256 {_sha256(entry, hashed)}")
    return f"  {display_line(' '.join(words))}"


def _tell_of_others(others: list[CatalogEntry]) -> None:
    """Tell of the files that are no models, a few by name."""
    from studio.text import display_line

    for entry in others[:_OTHERS_TOLD]:
        click.echo(f"cannot be used: {display_line(entry.fault)}", err=True)
    if len(others) > _OTHERS_TOLD:
        click.echo(f"and {len(others) - _OTHERS_TOLD} more files cannot be used; --json has them all", err=True)
