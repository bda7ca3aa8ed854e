"""What the header of the pool and insight screens tells, read from the pool."""

from __future__ import annotations

import json
from pathlib import Path

from studio.pool.pool import Queries
from studio.tui.widgets.header import HeaderFacts


def header_facts(pool: Queries, path: Path) -> HeaderFacts:
    """The pool's name, how many tasks it has generated, and the model and profile of its newest run."""
    accepted = pool.generated()
    run = pool.latest_run()
    if run is None:
        return HeaderFacts(pool=path.name, accepted=accepted)
    settings = json.loads(run.settings)
    method = settings.get("method", {}) if isinstance(settings, dict) else {}
    profile = str(method.get("profile", "")) if isinstance(method, dict) else ""
    return HeaderFacts(pool=path.name, model=run.model.name, quantisation=run.model.quantisation, profile=profile, accepted=accepted)
