"""Whether a part of the screen is on its way out."""

from __future__ import annotations

from textual.dom import DOMNode

from studio.tui.telling import TellingApp


def leaving(node: DOMNode) -> bool:
    """Return whether `node` is being removed, by itself or with the app: it may have lost its parts, and what comes for it is for nobody.

    Textual tells it by no public name: `display` is also false for what is merely hidden.
    """
    return node._pruning or not node.is_attached or (isinstance(node.app, TellingApp) and node.app.quitting)
