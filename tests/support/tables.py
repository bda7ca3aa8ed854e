"""What a terminal shows of a table or report."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType


def printed(renderable: RenderableType, width: int = 200) -> str:
    """The text of what rich draws on lines of `width`; what were markup would be taken as such."""
    out = StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()
