"""sqlite-utils, imported without what the pool does not use of it."""

from __future__ import annotations

import sys

__all__ = ["SqliteUtils"]

# sqlite-utils imports pandas where it finds it, which takes two seconds, only to recognise its types among inserted values.
_hide = "pandas" not in sys.modules
if _hide:
    sys.modules["pandas"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database as SqliteUtils
finally:
    if _hide:
        del sys.modules["pandas"]
