"""Printing figures: one JSON object, or tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType


def print_figures(plain: Mapping[str, Any], tables: Callable[[], RenderableType], as_json: bool) -> None:
    """Print `plain` as one line of JSON, or else what `tables` makes."""
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    from rich.console import Console

    Console(highlight=False).print(tables())
