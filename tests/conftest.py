"""What holds for every test."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

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


settings.register_profile("usual", deadline=None, max_examples=40)
settings.register_profile("slow", deadline=None)
settings.load_profile("usual")
"""A machine with other work takes longer over an example, which is no fault; `-m slow` tries more examples of everything."""

MOST_WORKERS = 4
"""Each has a few libraries in memory that are heavy."""

if "PYTEST_XDIST_WORKER" in os.environ:
    # Where a core is another worker's, a thread of llama.cpp that waits for it by spinning keeps it from being reached.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _whole_folders(config: pytest.Config) -> bool:
    return any(Path(arg).is_dir() for arg in config.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker a core for folders; none for files that were named, which are sooner done than a worker is there."""
    return min(os.cpu_count() or 1, MOST_WORKERS) if _whole_folders(config) else 0


_SLOW = "slow or hypothesis"


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what is slow where folders are run and nobody says which tests: `-m slow` runs it, and so does naming its file.

    With `-m slow` the tests by examples run as well, with more of them.
    """
    if config.option.markexpr in ("slow", _SLOW):  # A worker is told what the first process made of it.
        config.option.markexpr = _SLOW
        settings.load_profile("slow")
    if not config.option.markexpr and _whole_folders(config):
        config.option.markexpr = "not slow"


_TESTS = Path(__file__).parent
_LONGEST_FIRST = ("tui", "cli", "bench", "test_kill.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it in the end: the model, screens, processes, large files."""
    sizes = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int]:
        if item.get_closest_marker("real_model") is not None:
            return -1, 0
        folder = item.path.relative_to(_TESTS).parts[0]
        return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST), -sizes[item.path]

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what all tests have, and look seldom: to walk over it takes longer than most of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 20)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Say which tests go to the same worker: those of a file, which share what it makes, and all that run the model.

    The latter take turns: the model's threads would wait for each other's cores. xdist reads the groups before `collection_modifyitems`.
    """
    runs_model = item.get_closest_marker("real_model") is not None
    on_device = item.path.parent.name == "gpu"  # One process has it, and its memory.
    item.add_marker(pytest.mark.xdist_group("gpu" if on_device else "real_model" if runs_model else item.path.stem))
