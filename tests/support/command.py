"""The `studio` command as a user runs it: a process of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from support import warm

STUDIO = [sys.executable, "-m", "studio"]
_CACHE = "XDG_CACHE_HOME"
_USERS_CACHE = os.environ.get(_CACHE)


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without any of the studio's own variables, and with a cache that only the tests of this process share."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    if kept.get(_CACHE) == _USERS_CACHE:
        kept[_CACHE] = _shared_cache()
    return kept | extra


@cache
def _shared_cache() -> str:
    folder = tempfile.mkdtemp(prefix="studio-tests-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def studio(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and return what it printed. Its process is forked from one that has the libraries already."""
    words = list(map(str, arguments))
    return warm.run_and_read("studio", words, folder=cwd or Path.cwd(), environment=clean_environment(**environment))


def studio_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, where parts of it can be replaced, and return what it printed."""
    from studio.cli import main

    words = ["studio", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return subprocess.CompletedProcess(words, int(ended.value.code or 0), printed.out, printed.err)


def new_studio(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell does, in a process with hash seed and imports of its own."""
    command = [*STUDIO, *map(str, arguments)]
    return subprocess.run(command, env=clean_environment(**environment), capture_output=True, text=True, check=False)


def assert_fails(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Assert that a command failed as users may expect: its exit code, one line of error with `words`, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in done.stderr for word in words), done.stderr
