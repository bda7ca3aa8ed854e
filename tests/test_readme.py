"""The README cannot rot: its commands, options and parameters are those of the program."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from studio.cli import COMMANDS, cli
from studio.loop.runs import known_keys
from studio.loop.session import Goal
from support.pools import ask
from support.sessions import play

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CI = (Path(__file__).parents[1] / ".ci" / "run").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every call of the studio in a code block or in the text, as words after `studio`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = [line.partition("  #")[0] for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`(studio [a-z][^`]*)`", README)
    calls = [line.split("studio ", 1)[1] for line in lines if re.search(r"\bstudio (?!run pool\.db$)", line) and "sqlite3" not in line]
    return [shlex.split(call.replace("[", "").replace("]", "")) for call in calls + [call.removeprefix("studio ") for call in inline]]


def test_both_commands_of_the_start_are_there() -> None:
    assert "\npip install uv && uv run studio run pool.db --headless --target 20\n" in README
    both = "\nuv run pytest\nuv run pytest -m slow\n"
    assert both in README and CI.endswith(both)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_and_options_exist(words: list[str]) -> None:
    _, command, words = cli.resolve_command(click.Context(cli), words)
    assert command is not None
    parameters = list(command.params)
    if isinstance(command, click.Group) and words:
        parameters = command.commands[words[0]].params
    options = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-") and word != "-"} <= options


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None and command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_the_configuration_file_is_valid() -> None:
    block = re.search(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert block is not None
    tables = tomllib.loads(block[1])
    keys = {f"{table}.{key}" if table else key for table, values in _tables(tables) for key in values}
    assert keys <= set(known_keys())


def _tables(tables: dict[str, object], prefix: str = "") -> list[tuple[str, list[str]]]:
    found = [(prefix, [key for key, value in tables.items() if not isinstance(value, dict)])]
    for key, value in tables.items():
        if isinstance(value, dict):
            found += _tables(value, f"{prefix}.{key}" if prefix else key)
    return found


def test_the_pool_answers(tmp_path: Path) -> None:
    """The README's three questions, asked as they stand there."""
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=2))
    parents, rejected, written = (query for query in re.findall(r'sqlite3 pool\.db "(.*?)"', README, re.DOTALL))
    assert len(ask(path, parents)) == 8
    assert all(reason and text is not None for text, reason, _, _ in ask(path, rejected)) and ask(path, rejected)
    (instruction,) = ask(path, "SELECT instruction FROM tasks WHERE id = 176")[0]
    assert instruction in " ".join(ask(path, written)[0][0].split())
