"""What holds for every test."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

os.environ["STUDIO_PREFIX_CACHE"] = "off"
"""Tests neither read nor fill the cache of whoever runs them; those of the cache itself name a folder of their own."""

os.environ["STUDIO_OTHER_PROGRAMS"] = "off"
"""Nor do they find the models of other programs that whoever runs them has."""

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Hundreds of processes would compile the same sources again, which takes them longer than all else. Nothing is left beside a source.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so, and every process of the tests would inherit it; some are to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


MOST_WORKERS = 4
"""Each has a few libraries in memory that are heavy."""

if "PYTEST_XDIST_WORKER" in os.environ:
    # Where a core is another worker's, a thread of llama.cpp that waits for it by spinning keeps it from being reached.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker a core for folders; none for files that were named, which are sooner done than a worker is there."""
    folders = any(Path(arg).is_dir() for arg in config.args)
    return min(os.cpu_count() or 1, MOST_WORKERS) if folders else 0


def pytest_itemcollected(item: pytest.Item) -> None:
    """Say which tests go to the same worker: those of a file, which share what it makes, and all that run the model.

    The latter take turns: the model's threads would wait for each other's cores. xdist reads the groups before `collection_modifyitems`.
    """
    runs_model = item.get_closest_marker("real_model") is not None
    item.add_marker(pytest.mark.xdist_group("real_model" if runs_model else item.path.stem))
