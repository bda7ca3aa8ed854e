"""The paths that commands take, checked before anything is done: what is wrong with one is told in a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from studio.errors import PoolError, StudioError, UsageError
from studio.paths import user_path


class UserPath(click.Path):
    """A path as a user writes it, see `studio.paths.user_path`; `error` is what is raised for one that cannot be used."""

    def __init__(self, error: type[StudioError]) -> None:
        super().__init__(path_type=Path)
        self._error = error

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002  (click's signature)
        """Return the Path."""
        return user_path(value, self._error)


class _Target(UserPath):
    """A file to write, or `-` for stdout, as text."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "-" if value == "-" else str(super().convert(value, param, ctx))


POOL = UserPath(PoolError)
"""A pool, whether it is there already or not."""
INPUT = UserPath(UsageError)
"""A file to read."""
OUTPUT = UserPath(PoolError)
"""A file to write."""
TARGET = _Target(PoolError)
"""A file to write, or `-` for stdout."""
