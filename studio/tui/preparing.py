"""Puts screens together before they are first asked for: composing, styling and laying out one takes ten times as long as showing it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import App
from textual.screen import Screen

from studio.tui.base import leaving
from studio.tui.breakpoints import fit_classes
from studio.tui.widgets.header import hint_if_small


async def prepare_modes(app: App[None], modes: Iterable[str]) -> list[str]:
    """Put together the base screen of each mode, out of sight, one after the other; return the modes whose screens are whole now.

    Such a screen is told `ScreenResume` as if it were shown: it has to ask `is_current` before it reads anything.
    """
    whole = []
    for mode in modes:
        if leaving(app):
            break
        # Textual has no public way to any of this: `push_screen(mode=...)` wants a mode that has been shown.
        await app._init_mode(mode)
        stack: list[Screen[None]] = app.get_screen_stack(mode)
        # Its parts were given their styles as they were mounted; Textual would do it all once more when it is shown.
        stack[0]._css_update_count = app._css_update_count
        fit_classes(stack[0], app.size)
        hint_if_small(stack, app.size)
        # Laid out and drawn once for nobody: what the first paint would take is known then.
        stack[0]._refresh_layout(app.size)
        stack[0]._compositor.render_strips()
        whole.append(mode)
    return whole
