"""The table of all keys: one meaning each, every binding made of it, shown by the help, changed by a file of the user's."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from studio import tui
from studio.errors import UsageError
from studio.tui.base import Confirm, ErrorDialog
from studio.tui.help_log import HelpDialog
from studio.tui.keys import VERBS, bind, keys_of, read_keymap
from studio.tui.round.screen import StudioScreen
from support.studio_app import studio


def nodes() -> Iterator[type[DOMNode]]:
    """Every screen, widget and app of the studio."""
    for module in pkgutil.walk_packages(tui.__path__, "studio.tui."):
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, type) and issubclass(found, DOMNode) and found.__module__ == module.name:
                yield found


def test_no_key_means_two_things() -> None:
    meanings: dict[str, str] = {}
    for verb in VERBS.values():
        for key in keys_of(verb.keys):
            assert meanings.setdefault(key, verb.name) == verb.name, key


def test_every_binding_is_of_the_table() -> None:
    seen = set()
    for node in nodes():
        for binding in vars(node).get("BINDINGS", ()):
            assert isinstance(binding, Binding) and binding.id in VERBS, f"{node.__name__}: {binding}"
            assert binding.key == VERBS[binding.id or ""].keys and binding.description and binding.tooltip, f"{node.__name__}: {binding}"
            seen.add(binding.id)
    assert seen == set(VERBS), "a verb that no binding has means nothing"


def test_quitting_and_closing_are_two_keys() -> None:
    for node in nodes():
        for binding in vars(node).get("BINDINGS", ()):
            assert (binding.action in ("quit", "app.quit")) == (binding.id in ("quit", "quit-now")), f"{node.__name__}: {binding}"
    for window in (ErrorDialog, HelpDialog, Confirm):
        assert "q" not in window.__dict__["_merged_bindings"].key_to_bindings


def test_a_users_own_keys_are_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    assert read_keymap(file) == {}
    file.write_text('copy = "Y, ctrl+c"\nquit = "f10"\nstep = "q"\n')
    assert read_keymap(file) == {"copy": "Y,ctrl+c", "quit": "f10", "step": "q"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('copi = "y"', "did you mean 'copy'"),
        ('copy = "s"', "'s' would mean both 'copy' and 'step'"),
        ('copy = "crtl+y"', "did you mean 'ctrl'"),
        ('copy = "ctrl+enterr"', "did you mean 'enter'"),
        ("copy = 3", "names no key"),
        ('copy = ""', "names no key"),
        ("copy = ", "not a TOML file"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_keymap(file)
    assert said in f"{refused.value.message} {refused.value.hint}"


async def test_a_verb_has_the_users_key_wherever_it_occurs(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        driven.app.set_keymap({"round": "z", "help": "f9"})
        await driven.press("r")
        assert driven.screen.live.number == 0
        await driven.press("z")
        assert driven.screen.live.number == 1
        await driven.pilot.press("f9")
        assert isinstance(driven.app.screen, HelpDialog)
        assert "F9" in driven.app.screen._keys.plain and "z  Finish this round" in driven.app.screen._keys.plain
        await driven.pilot.press("f9")
        assert isinstance(driven.app.screen, StudioScreen)


def test_a_binding_says_what_the_table_says() -> None:
    assert bind("undo", "undo").tooltip == "Take back the newest action."


def test_the_guide_has_the_table_as_it_is() -> None:
    page = (Path(tui.__path__[0]).parent / "guide" / "keys.md").read_text("utf-8")
    written = {"escape": "esc", "delete": "del"}
    for verb in VERBS.values():
        keys = " ".join(f"`{written.get(key, key)}`" for key in verb.keys.split(",") if not key.startswith("super+"))
        assert f"| {keys} | `{verb.name}` | {verb.words} |" in page, verb.name
