"""What every test of the terminal studio needs: no colours or themes of the machine's own, no animation, a state folder of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from textual.css.model import RuleSet

# Textual reads these when it is imported.
for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM", "FORCE_COLOR"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"

_RULES: dict[object, list[RuleSet]] = {}


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def _wait_for_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Pilot wait for the app and not for the clock."""
    from support.screens import quiet

    for module in ("textual.app", "textual.pilot"):
        monkeypatch.setattr(f"{module}.wait_for_idle", quiet)


@pytest.fixture(autouse=True)
def _draw_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a screen be drawn when a test waits for it, not 60 times a second as well."""
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", 0.5)


class _Cache(dict[Any, Any]):
    """A cache without a limit: a line that is drawn makes seven, and those with one take longer to make than the line."""

    def __init__(self, _most: int) -> None:
        super().__init__()


@pytest.fixture(autouse=True)
def _light_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.strip.FIFOCache", _Cache)


@pytest.fixture(autouse=True)
def _parse_styles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every app take the rules that one before it read from the same style sheet with the same colours: it takes a tenth of a test."""
    from textual.css.stylesheet import Stylesheet

    read = Stylesheet._parse_rules

    def parsed(self: Stylesheet, *source: Any, **more: Any) -> list[RuleSet]:
        key = (tuple(self._variables.items()), source, tuple(more.items()))
        if key not in _RULES:
            _RULES[key] = read(self, *source, **more)
        return _RULES[key]

    monkeypatch.setattr(Stylesheet, "_parse_rules", parsed)
