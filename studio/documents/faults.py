"""What is wrong with a file that cannot be a document."""

from __future__ import annotations


class NoDocument(Exception):
    """Why a file cannot be read as a document, in words that follow its name; and the way on."""

    def __init__(self, words: str, hint: str, *, changed: bool = False) -> None:
        super().__init__(words)
        self.hint = hint
        self.changed = changed
        """Whether it could be read when it was found."""
