"""Pieces of a page. Text is made safe wherever it is put in: only what this module has built counts as markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from studio.text import display


class Html(str):
    """Markup that is safe as it stands: built by `tag`, or text that went through `text`."""

    __slots__ = ()


def text(value: str) -> Html:
    """Return anybody's text as it can stand in an element or an attribute: no tag, entity or control character of it takes effect."""
    return Html(html.escape(display(value)))


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Return parts one after another, each made safe unless it is `Html`."""
    return Html(text(between).join(part if isinstance(part, Html) else text(part) for part in parts))


def tag(name: str, *children: str, **attributes: str | float) -> Html:
    """Return an element. `class_` stands for class, and an underscore within a name for a hyphen."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = (0,)) -> Html:
    """Return a table; the columns in `words` hold words, all others figures."""

    def cells(kind: str, row: Sequence[str]) -> Html:
        return joined(tag(kind, cell, class_="words" if place in words else "figure") for place, cell in enumerate(row))

    head = tag("thead", tag("tr", cells("th", headings)))
    return tag("div", tag("table", head, tag("tbody", *(tag("tr", cells("td", row)) for row in rows))), class_="wide")


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Return names and values, one pair a line."""
    return tag("dl", *(part for name, value in pairs for part in (tag("dt", name), tag("dd", value))))


def figure(chart: Html, caption: str) -> Html:
    """Return a chart with the words below it."""
    return tag("figure", chart, tag("figcaption", caption))


def missing(what: str, command: str) -> Html:
    """Say that the pool has nothing of a kind, and which command would add it."""
    return tag("p", what, " ", tag("code", command), class_="missing")
