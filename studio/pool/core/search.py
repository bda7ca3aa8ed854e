"""Full-text search. What the user types is words to find, never FTS5 syntax."""

from __future__ import annotations

import re

from studio.text import storable

# Scripts written without spaces: the index sees a whole run of them as one word, so they are looked for character by character.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def match_expression(text: str) -> str:
    """Return the FTS5 expression that finds all words of `text`, the last as a beginning.

    It is empty where the index cannot find them: when there is no word, or one of a script without spaces.
    """
    if _UNSPACED.search(text):
        return ""
    # A NUL would end the expression early; a word without letter or digit would match nothing.
    terms = [term for term in storable(text).replace("\x00", " ").split() if any(character.isalnum() for character in term)]
    quoted = ['"' + term.replace('"', '""') + '"' for term in terms]
    return " ".join(quoted) + " *" if quoted else ""


def text_condition(table: str, column: str, text: str) -> tuple[str, str]:
    """Return the SQL condition, with its one value, that holds for the rows of `table` whose `column` has all words of `text`.

    Text without words, and scripts without spaces, are looked for as they stand.
    """
    if expression := match_expression(text):
        return f"{table}.id IN (SELECT rowid FROM {table}_fts WHERE {table}_fts MATCH ?)", expression
    return f"instr({table}.{column}, ?)", storable(text).strip()
