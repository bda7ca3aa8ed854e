"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

os.environ["STUDIO_PREFIX_CACHE"] = "off"
"""Tests neither read nor fill the cache of whoever runs them; those of the cache itself name a folder of their own."""


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Where tests run side by side, those that run the model take turns: its threads would wait for each other's cores."""
    for item in items:
        if item.get_closest_marker("real_model") is not None:
            item.add_marker(pytest.mark.xdist_group("real_model"))
