"""The `studio` command as a user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STUDIO = [sys.executable, "-m", "studio"]


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without any of the studio's own variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")} | extra


def studio(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and return what it printed."""
    command = [*STUDIO, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=clean_environment(**environment), capture_output=True, text=True, check=False)


def assert_fails(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Assert that a command failed as users may expect: its exit code, one line of error with `words`, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in done.stderr for word in words), done.stderr
