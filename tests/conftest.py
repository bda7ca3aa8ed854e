"""What holds for every test."""

from __future__ import annotations

import os

os.environ["STUDIO_PREFIX_CACHE"] = "off"
"""Tests neither read nor fill the cache of whoever runs them; those of the cache itself name a folder of their own."""
