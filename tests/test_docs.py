"""README and guide cannot rot: their commands, options, parameters, links, queries and files are those of the program."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from studio.cli import COMMANDS, cli
from studio.guide import SKILL, TOPICS, page, title
from studio.loop.runs import known_keys
from studio.loop.session import Goal
from support.pools import ask
from support.sessions import chat_pool, play

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "studio" / "guide"
PAGES = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")} | {f"{topic}.md": page(topic) for topic in TOPICS}
README = PAGES["README.md"]
LONGEST_README = 150


def commands() -> Iterator[list[str]]:
    """Every call of the studio in a code block or in the text, as words after `studio`."""
    for text in PAGES.values():
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        lines = [line.partition("  #")[0] for block in blocks for line in block.splitlines() if not line.startswith("#")]
        calls = [line.split("studio ", 1)[1] for line in lines if re.search(r"\bstudio (?!pool\.db$)", line) and "sqlite3" not in line]
        inline = [call.removeprefix("studio ") for call in re.findall(r"`(studio [a-z][^`]*)`", text)]
        for call in calls + [call for call in inline if not call.startswith("pool.db")]:
            yield shlex.split(call.replace("[", "").replace("]", ""))


def queries() -> list[str]:
    """The query of the README, and every worked one of the guide."""
    inline = re.findall(r'^sqlite3 pool\.db "(.*)"$', README, re.MULTILINE)
    return inline + re.findall(r"^```sql\n(.*?)^```", PAGES["pool.md"], re.DOTALL | re.MULTILINE)


def test_the_readme_is_one_that_a_person_reads() -> None:
    assert len(README.splitlines()) <= LONGEST_README
    assert "\npip install uv && uv run studio run pool.db --headless --target 20\n" in README
    both = "\nuv run pytest\nuv run pytest -m slow\n"
    assert both in README and (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith(both)


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_commands_and_options_exist(words: list[str]) -> None:
    _, command, words = cli.resolve_command(click.Context(cli), words)
    assert command is not None
    parameters = list(command.params)
    if isinstance(command, click.Group) and words:
        # `studio models` alone lists.
        parameters = command.commands["list" if words[0].startswith("-") else words[0]].params
    options = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-") and word != "-"} <= options


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None and command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_the_configuration_file_is_valid() -> None:
    block = re.search(r"^```toml\n(.*?)^```", PAGES["settings.md"], re.DOTALL | re.MULTILINE)
    assert block is not None
    keys = {f"{table}.{key}" if table else key for table, values in _tables(tomllib.loads(block[1])) for key in values}
    assert keys <= set(known_keys())


def _tables(tables: dict[str, object], prefix: str = "") -> list[tuple[str, list[str]]]:
    found = [(prefix, [key for key, value in tables.items() if not isinstance(value, dict)])]
    for key, value in tables.items():
        if isinstance(value, dict):
            found += _tables(value, f"{prefix}.{key}" if prefix else key)
    return found


def test_every_query_has_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=2))
    chat = chat_pool(tmp_path / "chat.db")
    answers = [ask(chat if IN_CHAT.search(query) else path, query) for query in queries()]
    assert len(answers) == 13 and all(answers)
    parents, written = (next(answer for query, answer in zip(queries(), answers, strict=True) if word in query) for word in WORDS)
    assert len(parents) == 8
    (instruction,) = ask(path, "SELECT instruction FROM tasks WHERE id = 176")[0]
    assert instruction in " ".join(written[0][0].split())


IN_CHAT = re.compile(r"\bnats\b")
"""What tells queries for what only a pool has whose model was asked in chat."""
WORDS = ("request_parents", "completions.text")
"""What tells the query for the parents of a task and that for what the model wrote."""


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_and_files_that_are_named_exist(name: str) -> None:
    folder = ROOT if name == "README.md" else GUIDE
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[name]):
        assert link.startswith("https://") or (folder / link).exists(), link
    for named in re.findall(r"`((?:studio|tests|seeds|models)/[\w./-]+)`", PAGES[name]):
        assert (ROOT / named).exists(), named


def test_every_page_is_a_topic_and_is_reached_from_the_readme() -> None:
    places = {topic: f"studio/guide/{topic}.md" for topic in TOPICS} | {"assistants": f"studio/guide/skills/{SKILL}/SKILL.md"}
    assert {path.relative_to(ROOT).as_posix() for path in GUIDE.rglob("*.md")} == set(places.values())
    assert all(f"({place})" in README for place in places.values())


def test_help_lists_the_pages_shows_them_and_knows_commands() -> None:
    def told(*words: str) -> str:
        return CliRunner().invoke(cli, ["help", *words], standalone_mode=False).output

    assert all(title(topic) in told() for topic in TOPICS)
    assert told("servers") == page("servers")
    assert "--stratify" in told("review")
    wrong = CliRunner().invoke(cli, ["help", "servres"], standalone_mode=False)
    assert isinstance(wrong.exception, click.UsageError) and "did you mean 'servers'?" in wrong.exception.format_message()
