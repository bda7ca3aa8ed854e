"""What holds for every test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

os.environ["STUDIO_PREFIX_CACHE"] = "off"
"""Tests neither read nor fill the cache of whoever runs them; those of the cache itself name a folder of their own."""

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Hundreds of processes would compile the same sources again, which takes them longer than all else. Nothing is left beside a source.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so, and every process of the tests would inherit it; some are to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Where tests run side by side, those that run the model take turns: its threads would wait for each other's cores."""
    for item in items:
        if item.get_closest_marker("real_model") is not None:
            item.add_marker(pytest.mark.xdist_group("real_model"))
