"""Datasets of the hub in the place of files: told, loaded, and named by the files that are then here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import progress_bar
from studio.errors import UsageError

if TYPE_CHECKING:
    from studio.seeds.hub_dataset import HubDataset


@dataclass(slots=True)
class Gathered:
    """Files that can be read. `datasets` are those of the hub that some are of; `unread` are those that a dry run leaves there."""

    paths: list[Path] = field(default_factory=list)
    datasets: list[HubDataset] = field(default_factory=list)
    unread: list[HubDataset] = field(default_factory=list)

    @property
    def licences(self) -> dict[Path, str]:
        """What the hub says of the files that are from there."""
        return {path: each.licence for each in self.datasets if each.licence for path in each.paths}

    def as_dict(self) -> dict[str, Any]:
        """What is from the hub as plain values, for JSON; nothing where nothing is."""
        found = [*self.datasets, *self.unread]
        return {"datasets": [each.as_dict() for each in found]} if found else {}


def gather(paths: Iterable[Path], *, dry_run: bool = False) -> Gathered:
    """Put the files of each dataset of the hub among `paths` in its place, loaded and with what they are told on stderr.

    Nothing is loaded in a dry run; what is here already is read in one, too. Raises UsageError as the hub refuses.
    """
    from studio.seeds.hub_dataset import find_dataset, is_of_hub, load, megabytes

    found = Gathered()
    for path in paths:
        if not is_of_hub(path):
            found.paths.append(path)
            continue
        dataset = find_dataset(path)
        for line in dataset.lines():
            click.echo(line, err=True)
        if dry_run and dataset.missing:
            click.echo(f"{dataset.asked}: not loaded, this is a dry run: {megabytes(dataset.missing)}", err=True)
            found.unread.append(dataset)
            continue
        with progress_bar() as progress:
            load(dataset, progress)
        found.datasets.append(dataset)
        found.paths += dataset.paths
    return found


def gather_one(path: Path) -> Path:
    """Return the one file that `path` stands for, loaded where it is the hub's. Raises UsageError where it stands for several."""
    found = gather([path]).paths
    if len(found) > 1:
        raise UsageError(f"{path} is {len(found)} files", f"name one of them, the first is {found[0]}")
    return found[0]
