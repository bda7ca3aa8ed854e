"""The studio's own theme: slate and sage, with amber for what deserves a look."""

from __future__ import annotations

from textual.theme import Theme

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
