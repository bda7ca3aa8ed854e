"""Which pools were opened last: a small JSON file in the user's state folder, of use to the picker alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from studio.paths import app_folder

KEPT = 12


def state_file() -> Path:
    """Where the list is kept."""
    return app_folder("state") / "recent.json"


def recent_pools() -> list[Path]:
    """Return the pools opened last that are still there, the newest first. A list that cannot be read is an empty one."""
    try:
        names = json.loads(state_file().read_text(encoding="utf-8"))
        # One that may not be looked at is one that is not there: `os.path` says so, `Path` raises.
        return [Path(name) for name in names if isinstance(name, str) and os.path.isfile(name)]  # noqa: PTH113
    except (OSError, ValueError, TypeError):
        return []


def remember(pool: Path) -> None:
    """Put `pool` first. The list is a convenience: where it cannot be written, nothing is said."""
    file = state_file()
    # Written beside and renamed, so that two studios at once leave one list or the other, never half of one.
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError, ValueError):
        place = pool.absolute()
        names = [str(place), *(str(path) for path in recent_pools() if path != place)][:KEPT]
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(names, ensure_ascii=True), encoding="utf-8")
        draft.replace(file)
