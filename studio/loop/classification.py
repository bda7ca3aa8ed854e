"""Whether the model took a task for a classification task."""

from __future__ import annotations

CHOICES = (" Yes", " No")
"""What the prompt's question can be answered with, as its examples answer it."""

_YES = frozenset({"Yes", "yes", "YES"})


def parse_classification(text: str) -> bool:
    """Return True for exactly `Yes`, `yes` or `YES` after stripping; anything else, an empty answer included, means no."""
    return text.strip() in _YES
