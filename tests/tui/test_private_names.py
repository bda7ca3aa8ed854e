"""The studio stands on what Textual promises: its private names may mean something else in its next version."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import textual

import studio.tui

TEXTUAL, STUDIO = Path(textual.__file__).parent, Path(studio.tui.__path__[0])
KNOWN = {"base.py uses ._pruning"}
"""Whether a widget is being removed Textual tells by no public name."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def parts_of(tree: ast.AST) -> set[str]:
    """The private attributes that classes of a file have: their methods, and what is set on `self` or in the class."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
                found |= {part.name} if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else set()
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            found.add(node.attr)
    return {name for name in found if is_private(name)}


@cache
def tree_of(path: str) -> ast.Module:
    return ast.parse(Path(path).read_text(encoding="utf-8"))


@cache
def parts_under(folder: Path) -> set[str]:
    return {name for path in folder.rglob("*.py") for name in parts_of(tree_of(str(path)))}


@cache
def parts_of_class(path: str, name: str) -> set[str]:
    found = [node for node in tree_of(path).body if isinstance(node, ast.ClassDef) and node.name == name]
    return {name for node in found for name in parts_of(node)}


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(studio.tui.__path__, "studio.tui."):
        yield importlib.import_module(found.name)


def uses(module: ModuleType) -> Iterator[str]:
    """Private modules and names that are imported, and private attributes that Textual's objects have and the file's own do not."""
    assert module.__file__ is not None
    name, tree = Path(module.__file__).name, tree_of(module.__file__)
    own = parts_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "textual":
            for each in (*(node.module or "").split("."), *(alias.name for alias in node.names)):
                if is_private(each):
                    yield f"{name} imports {each}"
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr in parts_under(TEXTUAL):
            on_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            if node.attr not in (parts_under(STUDIO) if on_self else own):
                yield f"{name} uses .{node.attr}"


def overrides(module: ModuleType) -> Iterator[str]:
    """Private names of the studio's classes that the classes of Textual have, which they are made from."""
    for _, owner in inspect.getmembers(module, inspect.isclass):
        if owner.__module__ != module.__name__:
            continue
        for above in owner.__mro__[1:]:
            if above.__module__.startswith("textual."):
                own, theirs = (parts_of_class(inspect.getfile(each), each.__name__) for each in (owner, above))
                yield from (f"{owner.__name__} overrides {above.__name__}.{name}" for name in sorted(own & theirs))


def replaced(module: ModuleType) -> Iterator[str]:
    """Names of Textual's modules that are set from outside."""
    assert module.__file__ is not None
    for node in ast.walk(tree_of(module.__file__)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    owner = vars(module).get(target.value.id)
                    if isinstance(owner, ModuleType) and owner.__name__.startswith("textual"):
                        yield f"{Path(module.__file__).name} sets {owner.__name__}.{target.attr}"


def test_no_private_name_of_textual_is_used_but_one() -> None:
    found = [fault for module in modules() for look in (uses, overrides, replaced) for fault in look(module)]
    assert set(found) == KNOWN
