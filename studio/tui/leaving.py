"""Whether a part of the screen is on its way out."""

from __future__ import annotations

from textual.dom import DOMNode


def leaving(node: DOMNode) -> bool:
    """Return whether `node` is being removed: it may have lost its parts already, and what comes for it now is for nobody.

    Textual tells it by no public name: `display` is also false for what is merely hidden.
    """
    return node._pruning or not node.is_attached
