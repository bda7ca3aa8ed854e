"""What commands print: JSON, tables, and files of JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.terminal import takes_unicode

if TYPE_CHECKING:
    from rich.console import RenderableType


def print_json(value: Any) -> None:
    """Print `value` as one line of JSON that is valid in any encoding: escaped where stdout has no bytes for every character."""
    click.echo(json.dumps(value, ensure_ascii=not takes_unicode()))


def print_tables(tables: RenderableType, *, soft_wrap: bool = False) -> None:
    """Print what rich draws, its texts taken as they are; `soft_wrap` leaves long lines to the terminal."""
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(tables, soft_wrap=soft_wrap)


def print_figures(plain: Mapping[str, Any], tables: Callable[[], RenderableType], as_json: bool) -> None:
    """Print `plain` as one line of JSON, or else what `tables` makes."""
    if as_json:
        print_json(plain)
    else:
        print_tables(tables())


def write_lines(lines: Iterable[Mapping[str, Any]], target: str) -> int:
    """Write `lines` to `target`, `-` being stdout, and return how many they were. Raises PoolError when the file cannot be written."""
    from studio.pool.exchange.export import encode_line
    from studio.pool.exchange.outputs import complete_files, writing

    count = 0
    if target == "-":
        for line in lines:
            sys.stdout.buffer.write(encode_line(line))
            count += 1
        sys.stdout.buffer.flush()
        return count
    path = Path(target)
    with complete_files([path]) as (file,), writing(path):
        for line in lines:
            file.write(encode_line(line))
            count += 1
    return count
