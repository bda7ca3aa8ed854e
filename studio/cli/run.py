"""`studio run`: generate tasks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from studio.cli.pull import MODEL
from studio.cli.shared import INPUT, JSON_AT_END, POOL, engine_flags, is_terminal, print_json
from studio.cli.task_files import gather, map_option
from studio.errors import UsageError
from studio.text import counted, display_line


@click.command(epilog="Exit codes: 0 done, 2 usage, 3 model, 4 pool, 5 stalled, 130 interrupted.")
@click.argument("pool", type=POOL)
@click.option("--headless", is_flag=True, help="Generate without the terminal studio, with a progress bar on stderr.")
@click.option("--target", type=click.IntRange(min=1), metavar="N", help="Stop when the pool has N generated tasks.")
@click.option("--rounds", type=click.IntRange(min=1), metavar="N", help="Stop after N rounds.")
@click.option(
    "-m",
    "--model",
    type=MODEL,
    metavar="MODEL",
    help="Name or path of a GGUF model, see `studio models`, a server: http://HOST:PORT/v1#NAME, or hf:OWNER/NAME:QUANT. [the bundled one]",
)
@click.option(
    "--answer-model",
    "answer_model",
    type=MODEL,
    metavar="MODEL",
    help="Another model that answers the tasks, in chat, named in the same way; `none` is the one of --model. [none]",
)
@click.option("--adapter", metavar="FILE", help="LoRA adapter for the model, as `studio finetune` makes it; `none` is without. [none]")
@click.option("--profile", metavar="NAME", help="studio, paper, code or alpaca. [studio]")
@click.option(
    "--asking",
    type=click.Choice(["auto", "chat", "completion"]),
    help="Ask in the model's chat template, or with raw texts. [the profile's]",
)
@click.option("--brief", metavar="TEXT", help="What all new tasks are to keep to: domain, audience, language; @FILE reads it from a file.")
@click.option("--seed", metavar="TEXT", help="Equal pool, settings, model and seed give equal data. [0]")
@click.option(
    "--seeds",
    "seed_files",
    type=INPUT,
    multiple=True,
    metavar="FILE",
    help="Seed tasks of a new pool: any file that `studio import` reads, or hf:OWNER/NAME.",
)
@map_option
@click.option(
    "--documents",
    "documents",
    type=INPUT,
    multiple=True,
    metavar="PATH",
    help="Text, Markdown, HTML or PDF, files or folders: the model writes requests that their passages answer, and questions about them.",
)
@click.option("--documents-licence", "licence", default="", metavar="ID", help="Licence of these documents, kept with what comes of them.")
@click.option(
    "--hold-out",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Seeds of a new pool to keep apart for `studio evaluate`: a number, or a share below 1. [0]",
)
@engine_flags
@click.option("--config", "config_file", type=INPUT, metavar="FILE", help="TOML file with any of the parameters.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any parameter, such as threshold=0.6; may be repeated.")
@click.option("--force", is_flag=True, help="Start a new run in a pool that was made with other settings or another model.")
@JSON_AT_END
def run_command(pool: Path, headless: bool, config_file: Path | None, force: bool, as_json: bool, **flags: Any) -> None:
    """Generate tasks into POOL, a file that is created when it is not there and resumed when it is.

    In the terminal studio, stage by stage as you like; with --headless at once.

    Every parameter can also stand in the TOML file of --config or in an environment variable (STUDIO_TARGET=20,
    STUDIO_SAMPLING__INSTRUCTIONS__TEMPERATURE=0.9); flags are the strongest. Interrupted with Ctrl-C or killed, the same command
    goes on from the last committed stage.
    """
    if not headless and as_json:
        raise UsageError("--json is for runs without the terminal studio", f"add --headless: studio run {pool} --headless --json")
    if not headless and not is_terminal():
        raise UsageError("the terminal studio needs a terminal", f"add --headless: studio run {pool} --headless")
    from studio.launch import RunRequest
    from studio.loop.runs import load_configuration
    from studio.seeds.mapping import parse_map

    seeds, settings, mapping = flags.pop("seed_files"), flags.pop("settings"), parse_map(flags.pop("assignments"))
    if mapping is not None and not seeds:
        raise UsageError("--map says how the files of --seeds are read, and there is none", "add --seeds FILE")
    found = gather(seeds)
    documents, licence = flags.pop("documents"), flags.pop("licence").strip()
    if licence and not documents:
        raise UsageError("--documents-licence is for documents", "name them with --documents")
    flags["models.answer"] = flags.pop("answer_model")
    given = {key: value for key, value in flags.items() if value is not None}
    if "brief" in given:
        given["brief"] = _brief(given["brief"])
    configuration = load_configuration(config_file, os.environ, given, settings)
    asked = RunRequest(pool, configuration, tuple(found.paths), force, mapping, found.licences, documents, licence)
    if not headless:
        from studio.tui import run_studio

        asked.settings.method()  # A wrong setting is said here, not on a screen.
        run_studio(asked, asked.configuration)
        return
    from rich.console import Console

    from studio.headless import run_headless, verdict_of

    summary = run_headless(asked, Console(stderr=True))
    if as_json:
        print_json(summary.as_dict())
    else:
        _say(summary.as_dict(), asked.pool)
    if (verdict := verdict_of(summary, asked)) is not None:
        raise verdict


def _brief(given: str) -> str:
    """The words of `--brief`, read from the file that they name after an `@`."""
    if not given.startswith("@"):
        return given
    if not given[1:].strip():
        raise UsageError("--brief @ names no file", "write --brief @FILE, or the words themselves")
    from studio.config import read_text

    return read_text(Path(given[1:]), "the brief,").strip()


def _say(done: dict[str, Any], pool: Path) -> None:
    name = display_line(str(pool))
    used_up = "every passage of the documents has been used: " if done["stopped"] == "documents" else ""
    click.echo(
        f"{used_up}{counted(done['accepted'], 'task')} accepted of {counted(done['candidates'], 'candidate')} "
        f"in {counted(done['rounds'], 'round')}, {counted(done['instances'], 'instance')}, {done['seconds']:.0f} s; "
        f"next: studio stats {name}, studio export {name} -o data.jsonl",
        err=True,
    )
