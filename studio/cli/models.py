"""`studio models`: which models there are, and faster copies of them, measured against the original."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.pull import MODEL, pull_command, say_use_of
from studio.cli.shared import INPUT, JSON, OUTPUT, in_columns, print_json
from studio.errors import ModelError
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.engine.catalog import CatalogEntry
    from studio.engine.optimize import Optimized
    from studio.engine.traits import Traits


MEASURED = ("size", "prompt_tok_s", "decode_tok_s", "perplexity")


@click.command("optimize")
@click.argument("model", default="", type=MODEL, metavar="[MODEL]")
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
@JSON
def optimize(model: str, to: str, output: Path | None, force: bool, threads: int, as_json: bool) -> None:
    """Copy MODEL (a name or path; the bundled one by default) in a quantisation that CPUs are fast with, and compare the two.

    llama.cpp repacks Q4_0 and Q8_0 for the CPU's wide registers. Quantising again what is quantised already costs quality, so both files
    are measured before the copy is put in its place:

    Speed: one prompt of 512 tokens, and 16 sequences that go on for 32 tokens each; original and copy in turn, medians of 3.

    Perplexity: of the bundled seed tasks (instruction, first input and output, in their order), 8 windows of 512 tokens, each evaluated
    alone, the second half of each scored: 2,040 tokens. Lower is better; it says how well the model predicts such text, not how good the
    data will be.
    """
    from studio.engine.catalog import find_model
    from studio.engine.optimize import optimize as make_copy

    compared = make_copy(find_model(model), to.upper(), output, seed_text(), _say, force=force, threads=threads)
    if as_json:
        print_json(_compared_as_dict(compared))
    else:
        _comparison_table(compared)
    say_use_of(compared.copy.path)


def seed_text() -> str:
    """Return the text that perplexity is measured on."""
    from studio.seeds.reading import bundled_seeds, read_tasks

    parts = ((task.instruction, task.instances[0].input, task.instances[0].output) for task in read_tasks(bundled_seeds()))
    return "\n\n".join("\n".join(text for text in part if text) for part in parts)


def _compared_as_dict(compared: Optimized) -> dict[str, Any]:
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


def _comparison_table(compared: Optimized) -> None:
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
    for line in in_columns(rows, right=(1, 2, 3)):
        click.echo(line)
    click.echo(f"copy: {display_line(str(after.path))}")


_NAME_WIDTH = 100
_REMARK_WIDTH = 300
_OTHERS_TOLD = 10


class ListByDefault(click.Group):
    """Lists when no command is named: `studio models FOLDER` is `studio models list FOLDER`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault, options_metavar="", subcommand_metavar="[list | pull | optimize] [OPTIONS] [ARGS]...")
def models_command() -> None:
    """List the models that can be used, bring one from the Hugging Face hub, or make a faster copy of one.

    Without a command: list them. `studio models FOLDER` lists the GGUF files below a folder, too, and --json gives one JSON array.
    """


models_command.add_command(optimize)
models_command.add_command(pull_command)


@models_command.command("list")
@click.argument("paths", nargs=-1, type=INPUT)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--sha256", "hashed", is_flag=True, help="Hash every model, which reads its files whole, once; else known hashes are told.")
def listing(paths: tuple[Path, ...], as_json: bool, hashed: bool) -> None:
    """List the models that can be used, by the names that --model takes.

    The bundled one; GGUF files below ./models, $STUDIO_MODELS and your data folder; what LM Studio, Ollama, the Hugging Face hub,
    llama.cpp, GPT4All and Jan have downloaded; and the files or folders PATHS. Only headers are read.

    memory: what it takes on a CPU as it is set up by itself, weights and context, about; on a GPU what fits is chosen when it is loaded.
    tried with the studio: yes, in every test; once, by hand; kind, another model of its architecture; no. --json says how.
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
    told = ("parameters", "quantisation", "context_length", "licence", "architecture", "file_size")
    traits = _traits_as_dict(entry.traits) if entry.traits is not None else {}
    return {**base, **{name: getattr(known, name) for name in told}, "sha256": _sha256(entry, hashed) or None, **traits}


def _traits_as_dict(traits: Traits) -> dict[str, object]:
    """How the model will run. Memory in bytes."""
    takes = traits.footprint
    return {
        "chat_template": traits.chat,
        "template_fault": traits.template_fault,
        "thinks": traits.thinks,
        "stops_thinking": traits.stops_thinking,
        "memory": {"total": takes.total, **asdict(takes)},
        "tried": traits.tried.word,
        "tried_how": traits.tried.how,
    }


def _sha256(entry: CatalogEntry, hashed: bool) -> str:
    from studio.engine.catalog import identify

    known = entry.identity.sha256 if entry.identity is not None else ""
    return known or (identify(entry.path).sha256 if hashed else "")


def _table(entries: list[CatalogEntry], hashed: bool) -> None:
    """Print two lines for each model: its name with its path, which may be long, and its figures, which stand below each other."""
    rows: list[tuple[str, ...]] = [("size", "quant.", "context", "file", "memory", "asked in", "tried", "licence")]
    rows += [_figures(entry) for entry in entries]
    names = ["name  path", *(_place(entry, hashed) for entry in entries)]
    remarks = [(), *(_remarks(entry) for entry in entries)]
    for name, line, remark in zip(names, in_columns(rows, right=(2, 3, 4)), remarks, strict=True):
        click.echo(name)
        click.echo(f"  {line}")
        for words in remark:
            click.echo(f"  {display_line(words, _REMARK_WIDTH)}")
    if not entries:
        click.echo("no model found; bring one with `studio models pull hf:OWNER/NAME`, or put a GGUF file into models/", err=True)


def _figures(entry: CatalogEntry) -> tuple[str, ...]:
    from studio.engine.catalog import count_text, size_text

    known, traits = entry.identity, entry.traits
    assert known is not None and traits is not None
    figures = (
        count_text(known.parameters),
        known.quantisation or "?",
        f"{known.context_length:,}" if known.context_length else "?",
        size_text(known.file_size),
        size_text(traits.footprint.total),
        traits.asked,
        traits.tried.word,
        known.licence or "not said",
    )
    return tuple(display_line(figure, 40) for figure in figures)


def _remarks(entry: CatalogEntry) -> tuple[str, ...]:
    """What stands below a model: that the machine has too little memory for it, and why its template cannot be used."""
    from studio.engine.traits import shortage

    assert entry.traits is not None
    return tuple(filter(None, (shortage(entry.traits.footprint), entry.traits.template_fault)))


def _place(entry: CatalogEntry, hashed: bool) -> str:
    """A model's name, where it lies, which program put it there, and of how many shards it is."""
    from studio.engine.model_file import shard_of

    shards = shard_of(entry.path)[2]
    words = [str(entry.path)]
    if entry.source not in ("given", "bundled", *(str(parent) for parent in entry.path.parents)):
        words.append(f"({entry.source})")
    if shards > 1:
        words.append(f"({shards} shards)")
    if hashed:
        words.append(f"sha256 {_sha256(entry, hashed)}")
    name = f"{display_line(entry.name, _NAME_WIDTH)}  " if entry.name != str(entry.path) else ""
    return name + display_line(" ".join(words))


def _tell_of_others(others: list[CatalogEntry]) -> None:
    """Tell of the files that are no models, a few by name."""
    for entry in others[:_OTHERS_TOLD]:
        click.echo(f"cannot be used: {display_line(entry.fault)}", err=True)
    if len(others) > _OTHERS_TOLD:
        click.echo(f"and {counted(len(others) - _OTHERS_TOLD, 'more file')} cannot be used; --json has them all", err=True)
