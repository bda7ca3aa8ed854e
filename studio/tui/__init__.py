"""The terminal studio. Only this package imports textual."""

from __future__ import annotations

from studio.launch import RunRequest
from studio.loop.runs import Configuration


def run_studio(asked: RunRequest | None, configuration: Configuration) -> None:
    """Show the studio until the user quits: the run `asked` for, or the picker, which starts from `configuration`.

    Returns after the pool is closed; a stage that was under way is given up and done again next time.
    """
    from studio.tui.app import StudioApp

    app = StudioApp(asked, configuration)
    try:
        app.show()
    finally:
        if app.runner is not None:
            app.runner.close()
