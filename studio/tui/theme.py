"""The studio's own themes, slate or paper and sage with amber for what deserves a look, and which theme the user chose last."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from textual.app import App
from textual.theme import Theme

from studio.paths import app_folder

THEME = Theme(
    name="studio",
    primary="#8fb8a8",
    secondary="#8aa4c8",
    accent="#d8b072",
    success="#94c08a",
    warning="#d8b072",
    error="#d98880",
    foreground="#d5d9de",
    background="#15181c",
    surface="#1a1e23",
    panel="#22272e",
    dark=True,
    variables={
        "border": "#353c45",
        "border-blurred": "#2a3038",
        "block-cursor-background": "#2d3a3a",
        "block-cursor-foreground": "#e8ece9",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#23292f",
        "block-cursor-blurred-foreground": "#d5d9de",
        "input-cursor-background": "#8fb8a8",
        "input-selection-background": "#8fb8a8 30%",
        "footer-background": "#1a1e23",
        "footer-key-foreground": "#d8b072",
        "footer-key-background": "#1a1e23",
        "footer-description-foreground": "#a9b1ba",
        "footer-description-background": "#1a1e23",
        "scrollbar": "#353c45",
        "scrollbar-hover": "#48525d",
        "scrollbar-active": "#8fb8a8",
        "scrollbar-background": "#15181c",
        "scrollbar-background-hover": "#15181c",
        "scrollbar-background-active": "#15181c",
        "scrollbar-corner-color": "#15181c",
    },
)

LIGHT = Theme(
    name="studio-light",
    primary="#2f6f5b",
    secondary="#37598c",
    accent="#8a5a00",
    success="#34702a",
    warning="#8a5a00",
    error="#a8362b",
    foreground="#23282e",
    background="#f7f6f2",
    surface="#efede7",
    panel="#e6e3db",
    dark=False,
    variables={
        "border": "#b9b4a7",
        "border-blurred": "#cfcabd",
        "block-cursor-background": "#cfe0d8",
        "block-cursor-foreground": "#14201b",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#dedbd1",
        "block-cursor-blurred-foreground": "#23282e",
        "input-cursor-background": "#2f6f5b",
        "input-selection-background": "#2f6f5b 30%",
        "footer-background": "#efede7",
        "footer-key-foreground": "#8a5a00",
        "footer-key-background": "#efede7",
        "footer-description-foreground": "#4b535c",
        "footer-description-background": "#efede7",
        "scrollbar": "#b9b4a7",
        "scrollbar-hover": "#9f998a",
        "scrollbar-active": "#2f6f5b",
        "scrollbar-background": "#f7f6f2",
        "scrollbar-background-hover": "#f7f6f2",
        "scrollbar-background-active": "#f7f6f2",
        "scrollbar-corner-color": "#f7f6f2",
    },
)


def theme_file() -> Path:
    """Where the name of the theme chosen last is kept."""
    return app_folder("state") / "theme"


def wear_theme(app: App[None]) -> None:
    """Put on the theme chosen last, and keep what is chosen from now on. Where it cannot be kept or is not known, nothing is said."""
    for theme in (THEME, LIGHT):
        app.register_theme(theme)
    name = _kept()
    app.theme = name if name in app.available_themes else THEME.name
    app.theme_changed_signal.subscribe(app, _keep)


def _kept() -> str:
    with suppress(OSError, ValueError):
        return theme_file().read_text(encoding="utf-8").strip()
    return THEME.name


def _keep(theme: Theme) -> None:
    if theme.name == _kept():
        return
    with suppress(OSError):
        file = theme_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(theme.name, encoding="utf-8")
