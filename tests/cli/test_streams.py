"""What commands print, on streams that cannot take it: of another encoding, full, closed, or left by their reader."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.cli import COMMANDS, cli
from studio.cli.shared import text_stream
from studio.errors import ExitCode
from studio.records import Instance
from studio.text import display
from support.command import STUDIO, assert_fails, clean_environment
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS
from support.pools import make_pool

EVAL = "evaluation-é茶.jsonl"
PRINTING = (
    *("show POOL", "show POOL 4", "show POOL 4 --prompts", "show POOL 4 --json", "show POOL --json", "show POOL 4 --tree"),
    *("show POOL 4 --tree --json", "show POOL --rejected", "stats POOL", "stats POOL --json", "stats POOL --lineage", "lint POOL"),
    *("lint POOL --json", "lint --explain email", "diversity POOL --words", "diversity POOL --words --json", f"seeds check {EVAL}"),
    *(f"seeds check {EVAL} --json", "seeds path", f"overlap POOL {EVAL}", f"overlap POOL {EVAL} --json", "models", "models --json"),
    *("export POOL -o -", "compare POOL --list", "bench --help", "--help", "--version"),
    *(f"{name} --help" for name in COMMANDS),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where POOL is a pool whose texts are in many scripts, and a file of tasks like them."""
    place = tmp_path_factory.mktemp("streams")
    build_pool(place / "POOL", [(f"{text} {number}", False, (Instance(text, text),)) for number, text in enumerate(NASTY_TEXTS)])
    records = [{"instruction": f"{text} is the task", "input": "", "output": text} for text in NASTY_TEXTS]
    (place / EVAL).write_text("\n".join(map(json.dumps, records)), "utf-8")
    return place


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("words", PRINTING)
def test_every_command_prints_in_any_encoding(words: str, encoding: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    raw = io.FileIO("printed", "w+")
    monkeypatch.setattr(sys, "stdout", text_stream(raw, encoding))
    # `seeds check` ends with 2 for the faults that it found.
    assert cli.main(words.split(), prog_name="studio", standalone_mode=False) in (None, 0, ExitCode.USAGE)
    sys.stdout.flush()
    printed = Path("printed").read_bytes()
    text = printed.decode("utf-8" if "-o -" in words else encoding)
    assert text or words in ("compare POOL --list", "show POOL --rejected")
    if words.endswith("--json"):
        assert json.loads(text)
        assert text == display(text)


def test_json_is_the_same_in_any_encoding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    told = []
    for encoding in ("ascii", "cp1252", "utf-8"):
        monkeypatch.setattr(sys, "stdout", text_stream(io.FileIO("printed", "w+"), encoding))
        cli.main(["show", "POOL", "--json"], standalone_mode=False)
        sys.stdout.flush()
        told.append(json.loads(Path("printed").read_text(encoding)))
    assert told[0] == told[1] == told[2]
    assert told[0][0]["text"] != ascii(told[0][0]["text"])


def test_what_the_studio_draws_has_plain_words_and_all_else_is_escaped_as_in_json() -> None:
    raw = io.FileIO(os.memfd_create("text"), "w+")
    with text_stream(raw, "ascii") as stream:
        stream.write("█ ✓ … ≤ · é 茶 😀 \udc80")
        stream.flush()
        raw.seek(0)
        assert raw.read() == rb"# + ... <= - \u00e9 \u8336 \ud83d\ude00 \udc80"


def ended(words: str, folder: Path, redirected: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the shell's with `redirected` behind it."""
    line = f'"$@" {redirected}'
    command = ["bash", "-c", line, "bash", *STUDIO, *words.split()]
    return subprocess.run(command, cwd=folder, env=clean_environment(**environment), capture_output=True, text=True, check=False)


def test_python_itself_is_told(folder: Path) -> None:
    done = ended("show POOL 4 --json", folder, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and json.loads(done.stdout)


@pytest.mark.parametrize(("words", "where"), [("stats POOL", ">/dev/full"), ("export POOL -o -", ">/dev/full"), ("show POOL", ">&-")])
def test_a_stdout_that_takes_nothing_is_told_in_one_line(words: str, where: str, folder: Path) -> None:
    done = ended(words, folder, where)
    assert_fails(done, ExitCode.UNEXPECTED, "cannot write to stdout", "closed" if "&-" in where else "no space left")
    assert "Exception ignored" not in done.stderr


def test_a_run_loses_nothing_when_nobody_can_be_told_of_it(tmp_path: Path) -> None:
    made = ended("run POOL --headless --rounds 1 --model scripted --json", tmp_path, ">/dev/full 2>/dev/full")
    assert made.returncode == ExitCode.UNEXPECTED
    again = ended("run POOL --headless --rounds 1 --model scripted --json", tmp_path, ">&- 2>&- <&-")
    assert again.returncode == ExitCode.UNEXPECTED
    shown = json.loads(ended("stats POOL --json", tmp_path).stdout)
    assert len(shown["rounds"]) == 2


def test_a_reader_that_leaves_ends_the_command_quietly(folder: Path) -> None:
    done = ended("export POOL -o -", folder, "| true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (ExitCode.CLOSED_PIPE, "")


def test_a_full_device_is_told_once(tmp_path: Path) -> None:
    done = ended("export POOL --include-seeds -o /dev/full", make_pool(tmp_path / "POOL").parent)
    assert_fails(done, ExitCode.POOL, "/dev/full")
