"""Seed files: reading them, naming every fault in them, and finding the ones that come with the studio."""

from __future__ import annotations

from studio.seeds.bundled import bundled_seeds
from studio.seeds.faults import FileFault
from studio.seeds.reading import SeedFile, inspect_file, read_tasks

__all__ = ["FileFault", "SeedFile", "bundled_seeds", "inspect_file", "read_tasks"]
