"""Run a command beside somebody who takes the GPU's memory: `python -m gpu.crowded GIGABYTES COMMAND...` leaves the command so many."""

from __future__ import annotations

import subprocess
import sys

import torch


def leave(gigabytes: float) -> object:
    """Take what is free on the GPU but for so many GB, and return what holds it."""
    there, _ = torch.cuda.mem_get_info()
    return torch.empty(max(0, there - int(gigabytes * 1e9)), dtype=torch.uint8, device="cuda")


if __name__ == "__main__":
    held = leave(float(sys.argv[1]))
    sys.exit(subprocess.run(sys.argv[2:], check=False).returncode)
