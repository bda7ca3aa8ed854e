"""The command line as a whole: help, unknown words, and errors that name the thing and the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import __version__
from studio.cli import COMMANDS
from support.command import assert_fails, new_studio, studio


def test_help_names_every_command() -> None:
    done = new_studio("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout and text in done.stdout for name, (_, text) in COMMANDS.items())


@pytest.mark.parametrize("words", [(), ("seeds",)])
def test_a_call_without_a_command_shows_its_help(words: tuple[str, ...]) -> None:
    done = studio(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ") and done.stdout == ""


def test_version() -> None:
    assert __version__ in new_studio("--version").stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("rnu", "pool.db"), ("'rnu'", "did you mean 'run'?")),
        (("stats", "pool.db", "--jsn"), ("--jsn", "--json")),
        (("run",), ("POOL", "studio run --help")),
    ],
)
def test_wrong_words_name_the_next_step(words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert_fails(studio(*words), 2, *expected)


def test_ctrl_c_while_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(600)\n")
    done = new_studio("--help", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")
