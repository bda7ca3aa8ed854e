"""No text of anyone else's reaches a terminal but through `studio.text.display` and what is built on it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

STUDIO = Path(__file__).parents[2] / "studio"
SOURCES = sorted((STUDIO / "tui").rglob("*.py"))

FORBIDDEN = {"from_markup", "RichLog", "DataTable", "MarkdownViewer", "Pretty", "escape", "print"}
"""Ways into the screen that read markup, lose text, or write raw."""
MARKDOWN_IN = "HelpDialog"
"""The class that shows Markdown: the studio's own HELP texts, nothing else."""

FOREIGN = {"instruction", "input", "output", "text", "edited", "detail", "suffix", "prefix", "message", "hint", "cause"}
"""Attributes of records that hold what a model, a file or a system wrote."""
CLEANERS = {"display", "display_line", "clip", "fit", "cut", "len", "count_words", "compare", "_text", "_content", "_shown", "_marked"}
"""Functions that clean, or that give no text back; those with an underscore clean each part themselves."""
SINKS = {
    "Content",
    "assemble",
    "styled",
    "Text",
    "Segment",
    "append_text",
    "update",
    "show_text",
    "show_title",
    "notify",
    "Strip",
    "Option",
    "Label",
    "Static",
    "Button",
}
MUST_SAY_NO_MARKUP = {"Static", "Label", "notify"}
TITLES = {"border_title", "border_subtitle", "tooltip", "sub_title"}


def called(node: ast.Call) -> str:
    """The last name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""


def uncleaned(node: ast.AST) -> Iterator[ast.Attribute]:
    """Foreign attributes in an expression that no cleaning function encloses."""
    if isinstance(node, ast.Call) and called(node) in CLEANERS | SINKS:
        return  # Cleaned here, or looked at as a sink of its own.
    if isinstance(node, (ast.Compare, ast.Lambda, ast.ListComp, ast.GeneratorExp)):
        return  # A truth value, or a value for later; elements are looked at where they are shown.
    if isinstance(node, ast.IfExp):
        yield from uncleaned(node.body)
        yield from uncleaned(node.orelse)
        return
    if isinstance(node, ast.Attribute) and node.attr in FOREIGN and isinstance(node.ctx, ast.Load):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from uncleaned(child)


def faults(source: Path) -> Iterator[str]:
    """What in a file goes past the cleaning function, line by line."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    helping = {part for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == MARKDOWN_IN for part in ast.walk(node)}
    for node in ast.walk(tree):
        place = f"{source.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in FORBIDDEN:
                    yield f"{place}: imports {alias.name}"
        if isinstance(node, ast.Name) and node.id == "Markdown" and node not in helping:
            yield f"{place}: shows Markdown"
        if isinstance(node, ast.Call):
            yield from call_faults(node, place)
        if isinstance(node, ast.Attribute) and node.attr == "value" and isinstance(node.value, ast.Call) and asks_for_input(node.value):
            yield f"{place}: an input's value has stand-ins in it: take its text"
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in TITLES and not harmless(node.value):
                    yield f"{place}: {target.attr} is parsed as markup: give it a Content"


def asks_for_input(node: ast.Call) -> bool:
    """Whether the call looks for a field of one line."""
    return called(node) == "query_one" and any(isinstance(each, ast.Name) and each.id in ("Input", "SafeInput") for each in node.args)


def call_faults(node: ast.Call, place: str) -> Iterator[str]:
    """Faults of one call."""
    name = called(node)
    if name in FORBIDDEN:
        yield f"{place}: calls {name}"
    own_words = bool(node.args) and name != "notify" and isinstance(node.args[0], ast.Constant) and harmless(node.args[0])
    if name in MUST_SAY_NO_MARKUP and not own_words and not says_no_markup(node):
        yield f"{place}: {name} without markup=False"
    if name in ("Button", "Option", "TabPane", "Checkbox") and node.args and isinstance(node.args[0], ast.JoinedStr):
        yield f"{place}: {name} parses its label as markup: give it a Content"
    if name in SINKS:
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            yield from (f"{place}: .{found.attr} is shown as it is" for found in uncleaned(argument))


def says_no_markup(node: ast.Call) -> bool:
    """Whether `markup=False` is among the arguments."""
    return any(
        keyword.arg == "markup" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False for keyword in node.keywords
    )


def harmless(value: ast.expr) -> bool:
    """A Content, or words of our own without a bracket."""
    if isinstance(value, ast.Constant):
        return value.value is None or (isinstance(value.value, str) and "[" not in value.value)
    if isinstance(value, ast.IfExp):
        return harmless(value.body) and harmless(value.orelse)
    return isinstance(value, ast.Call) and called(value) in {"Content", "assemble", "styled"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(STUDIO)))
def test_nothing_goes_past_the_cleaning_function(source: Path) -> None:
    assert list(faults(source)) == []


@pytest.mark.parametrize(
    "code",
    [
        "Static(task.instruction)",
        "Static(f'{task.instruction}', markup=False)",
        "self.notify(error.message, markup=False)",
        "self.notify(display(error.message))",
        "Content(task.instruction)",
        "Content.assemble('a', (task.instruction, 'bold'))",
        "Content.from_markup(x)",
        "pane.border_title = title",
        "pane.border_title = f'{name}'",
        "Option(f'{path}')",
        "print(x)",
        "Markdown(text)",
        "Segment(row.text)",
        "self.query_one('#a', SafeInput).value",
    ],
)
def test_the_rules_find_what_they_are_for(tmp_path: Path, code: str) -> None:
    file = tmp_path / "bad.py"
    file.write_text(code)
    assert list(faults(file))


def test_only_the_screens_import_textual() -> None:
    for source in STUDIO.rglob("*.py"):
        if not source.is_relative_to(STUDIO / "tui"):
            assert not re.search(r"^\s*(from|import) textual", source.read_text(encoding="utf-8"), re.MULTILINE), source
