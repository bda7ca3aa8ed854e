"""Where the seeds that come with the studio are."""

from __future__ import annotations

from pathlib import Path

from studio.errors import UsageError

_NAME = "seed_tasks.jsonl"


def bundled_seeds() -> Path:
    """Return the path of the bundled seed file.

    An installed wheel carries it beside this module, a checkout in the repository's `seeds` folder. Raises UsageError when neither is
    there.
    """
    here = Path(__file__).resolve().parent
    for path in (here / _NAME, here.parents[1] / "seeds" / _NAME):
        if path.is_file():
            return path
    raise UsageError(
        f"the bundled seeds are missing: no {_NAME} in {here}",
        "reinstall self-instruct-studio, or name a seed file of your own",
    )
