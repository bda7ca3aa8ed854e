"""`studio help` and `studio skill`: the guide in the terminal, and its page for coding assistants as the file that they read."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import click

from studio.cli.shared import OUTPUT, write_text
from studio.errors import UsageError, nearest_name
from studio.guide import SKILL, TOPICS, page, skill, title
from studio.paths import shown

_WIDTH = 100
"""Columns of a page: longer lines are hard to read."""


@click.command("help")
@click.argument("topic", required=False)
def help_command(topic: str | None) -> None:
    """Show a page of the guide, or what the pages are; `studio help COMMAND` is `studio COMMAND --help`.

    On a terminal a page is laid out and shown by your pager; into a pipe it goes as Markdown.
    """
    if topic is None:
        click.echo("The guide, by `studio help TOPIC`:\n")
        for name in TOPICS:
            click.echo(f"  {name:<16} {title(name)}")
        click.echo("\n`studio help COMMAND` tells the options of a command; `studio --help` lists the commands.")
    elif topic in TOPICS:
        _show(page(topic))
    else:
        _show_command(topic)


def _show(text: str) -> None:
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    drawn = StringIO()
    # On the terminal's own background, whether it is dark or light.
    theme = Theme({"markdown.code": "bold cyan", "markdown.h2": "bold underline"})
    Console(file=drawn, force_terminal=True, width=min(Console().width, _WIDTH), theme=theme).print(Markdown(text, code_theme="ansi_dark"))
    click.echo_via_pager(drawn.getvalue(), color=True)


def _show_command(name: str) -> None:
    from studio.cli import COMMANDS, cli

    known = cli.get_command(click.Context(cli), name)
    if known is None:
        near = nearest_name(name, (*TOPICS, *COMMANDS))
        raise click.BadParameter(f"there is no page and no command {name!r}; {near}", param_hint="TOPIC")
    with click.Context(known, info_name=f"studio {name}") as context:
        click.echo(known.get_help(context))


@click.command("skill")
@click.option("--install", "folder", type=OUTPUT, metavar="FOLDER", help="Write it below FOLDER, such as .claude/skills or .agents/skills.")
@click.option("--force", is_flag=True, help="Replace another version of it, or one that was edited.")
def skill_command(folder: Path | None, force: bool) -> None:
    """Print the skill for coding assistants: how to drive the studio without its screens. It is `studio help assistants` with a header.

    Assistants find skills as NAME/SKILL.md in .claude/skills or .agents/skills of a project, or of your home folder for all projects.
    """
    if folder is None:
        click.echo(skill(), nl=False)
        return
    from studio.pool.exchange.outputs import writing

    target = folder / SKILL / "SKILL.md"
    with writing(target):
        there = target.read_text("utf-8", "replace") if target.is_file() else None
        if there == skill():
            click.echo(f"{shown(target)} is there already", err=True)
            return
        if there is not None and not force:
            raise UsageError(f"{shown(target)} is another version, or was edited", "replace it with --force")
        target.parent.mkdir(parents=True, exist_ok=True)
    write_text(skill(), target)
    click.echo(f"wrote {shown(target)}", err=True)
