"""Stands where a product's process is started: hands its streams to a forked one, and ends as that one does.

Run with the path of the server's socket. Knows the process that trains only.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import warm


def main() -> None:
    """Run the training's worker."""
    status = warm.run(
        sys.argv[1],
        "studio.tuning.worker",
        (),
        [os.dup(place) for place in range(3)],
        folder=str(Path.cwd()),
        environment=os.environ,
        libraries=warm.TRAINING,
    )
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
