"""The card of an exported dataset for the Hugging Face hub: `README.md` with a YAML header.

The header's fields are those of https://github.com/huggingface/hub-docs/blob/main/datasetcard.md
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio import __version__
from studio.errors import UsageError
from studio.insight.statistics.figures import Statistics, statistics
from studio.insight.statistics.report import scorecard_rows
from studio.paths import shown
from studio.pool.exchange.export import ExportOptions, ExportSummary
from studio.pool.exchange.formats import Source
from studio.pool.exchange.outputs import writing
from studio.pool.pool import Queries
from studio.publish.markdown import fenced, inline, table, yaml_string
from studio.publish.publication import Provenance, RunFacts, provenance

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_LARGEST = "n>10M"
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What the user says of the dataset. `licence` is the hub's identifier, such as apache-2.0; languages are ISO 639 codes."""

    title: str
    licence: str = "unknown"
    languages: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise UsageError for an identifier that the hub would not take."""
        if not _LICENCE.fullmatch(self.licence):
            raise UsageError(f"{self.licence!r} is no licence identifier", "such as apache-2.0, cc-by-4.0, or other")
        for each in self.languages:
            if not _LANGUAGE.fullmatch(each):
                raise UsageError(f"{each!r} is no language code", "such as en, de or zh (ISO 639)")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the dataset: its split, its path from the card's folder, its records, and the sha256 of its bytes."""

    split: str
    path: str
    records: int
    sha256: str


def data_files(card: Path, summary: ExportSummary) -> tuple[DataFile, ...]:
    """Return the files that an export wrote as the card names them.

    Raises UsageError when one of them is not in the card's folder or below it, PoolError when one cannot be read.
    """
    return tuple(DataFile(_split(path), _relative(card, path), records, _digest(path)) for path, records in summary.records.items())


def check_card_place(card: Path, output: Path) -> None:
    """Raise UsageError when the data would not lie in the card's folder or below it."""
    _relative(card, output)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported: from where, how, without what the lints of these codes found, and into which files."""

    source: Source
    options: ExportOptions
    lints: tuple[str, ...]
    files: tuple[DataFile, ...]

    @property
    def records(self) -> int:
        return sum(each.records for each in self.files)


def dataset_card(pool: Queries, options: CardOptions, exported: Exported) -> str:
    """Return the card. Equal pools and exports give equal cards. Raises PoolError."""
    header = "\n".join(_header(options, exported))
    parts = "\n\n".join(_parts(pool, options, exported))
    return f"---\n{header}\n---\n\n{parts}\n"


def _header(options: CardOptions, exported: Exported) -> Iterator[str]:
    yield f"pretty_name: {yaml_string(options.title)}"
    yield f"license: {yaml_string(options.licence)}"
    if options.languages:
        yield "language:"
        yield from (f"  - {yaml_string(each)}" for each in options.languages)
    yield "task_categories:\n  - text-generation"
    yield f"size_categories:\n  - {yaml_string(size_category(exported.records))}"
    yield "annotations_creators:\n  - machine-generated\nlanguage_creators:\n  - machine-generated"
    yield "tags:\n  - synthetic\n  - self-instruct\n  - instruction-tuning"
    yield "configs:\n  - config_name: default\n    data_files:"
    for split, paths in _by_split(exported.files).items():
        yield f"      - split: {split}\n        path:"
        yield from (f"          - {yaml_string(path)}" for path in paths)


def size_category(records: int) -> str:
    """Return the hub's word for so many records."""
    return next((name for limit, name in _SIZES if records < limit), _LARGEST)


def _by_split(files: Sequence[DataFile]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in files:
        found.setdefault(each.split, []).append(each.path)
    return found


def _parts(pool: Queries, options: CardOptions, exported: Exported) -> Iterator[str]:
    facts, figures = provenance(pool), statistics(pool)
    yield f"# {inline(options.title)}"
    yield (
        f"{exported.records:,} records in the format `{exported.options.format}`, written by a language model in the Self-Instruct loop of"
        f" [Wang et al. 2022](https://arxiv.org/abs/2212.10560) with Self-Instruct Studio {__version__}."
        " No person has checked every record."
    )
    yield "## Files"
    yield table(("file", "split", "records", "sha256"), (_file(each) for each in exported.files))
    if narrowed := _narrowed(exported):
        yield f"Exported were only {narrowed}."
    yield "## How it was made"
    yield _method(figures, facts, exported)
    yield "\n".join(_run(each) for each in facts.runs)
    yield "## Figures"
    yield "Of all generated tasks of the pool, beside the paper's:"
    yield table(("", "this pool", "Wang et al. 2022"), scorecard_rows(figures))
    yield from _example(exported)
    yield "## Limits"
    yield (
        "The texts are a language model's: they may be wrong, biased, unsafe, or repeat what the model was trained on. Being novel by"
        " ROUGE-L says nothing of being right. The studio's commands `lint`, `review` and `overlap` look for faults, rate a sample, and"
        " check for contamination."
    )
    yield "## Licence"
    yield from _licence(options, facts)


def _file(found: DataFile) -> tuple[str, ...]:
    return inline(found.path), found.split, f"{found.records:,}", f"`{found.sha256}`"


def _method(figures: Statistics, facts: Provenance, exported: Exported) -> str:
    part = "which are" if exported.options.include_seeds else "which are not"
    by_hand = f"; a person has the last word on {facts.by_hand:,} of them" if facts.by_hand else ""
    return (
        f"From {figures.seeds:,} seed tasks, {part} part of the data. Tasks of the pool stand as examples in the prompt for new ones;"
        " malformed candidates and those too similar to the pool by ROUGE-L are rejected; classification tasks are told apart; instances"
        f" are written for each accepted instruction. Of {figures.candidates:,} candidates {figures.accepted:,} were accepted{by_hand}."
    )


def _narrowed(exported: Exported) -> str:
    keep, words = exported.options.keep, []
    if keep.min_quality is not None:
        unrated = ", or that nobody rated" if keep.unrated else ""
        words.append(f"tasks of which at least {keep.min_quality:.0%} of the raters' answers are yes{unrated}")
    if keep.tags:
        words.append(f"tasks with a tag of {', '.join(inline(each) for each in keep.tags)}")
    if keep.noted:
        words.append("tasks with a note")
    if exported.lints:
        words.append(f"tasks and instances that these lints find nothing wrong with: {', '.join(exported.lints)}")
    return " and ".join(words)


def _run(found: RunFacts) -> str:
    run, counts = found.run, found.counts
    profile = found.settings.get("method.profile", "")
    model = f"{inline(run.model.name)} (sha256 `{run.model.sha256}`, licence {inline(run.model.licence or 'not stated in the file')})"
    return (
        f"- Run {run.id}: model {model}, seed {inline(run.seed)}{f', profile {inline(profile)}' if profile else ''}, studio"
        f" {inline(run.studio_version)}, {counts.rounds:,} rounds, {counts.accepted:,} of {counts.candidates:,} candidates accepted."
    )


def _example(exported: Exported) -> Iterator[str]:
    tasks = exported.source.export_tasks(exported.options.include_seeds, exported.options.keep)
    task = next(iter(tasks), None)
    if task is not None and task.instances:
        yield "## An example"
        instance = task.instances[0]
        for name, text in (("Instruction", task.instruction), ("Input", instance.input), ("Output", instance.output)):
            if text:
                yield f"{name}:\n\n{fenced(text, 'text')}"


def _licence(options: CardOptions, facts: Provenance) -> Iterator[str]:
    named = ", ".join(f"{inline(each.name)}: {inline(each.licence or 'not stated in the file')}" for each in facts.models)
    if options.licence == "unknown":
        yield "The publisher has not stated a licence for this dataset."
    yield (
        "What a model writes comes under whatever its licence says of outputs."
        + (f" The models' licences, as their files state them: {named}." if named else "")
        + " Seed tasks come under the licence of their own source."
    )


def _split(path: Path) -> str:
    return next((side for side in ("train", "validation") if path.stem.endswith(f".{side}")), "train")


def _relative(card: Path, path: Path) -> str:
    folder, place = Path(os.path.realpath(card)).parent, Path(os.path.realpath(path))
    if not place.is_relative_to(folder):
        message = f"the card names its files from its own folder, and {shown(path)} is not in it or below"
        raise UsageError(message, "such as -o data/all.jsonl --card README.md")
    return place.relative_to(folder).as_posix()


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with writing(path), path.open("rb") as file:
        while piece := file.read(_BYTES):
            found.update(piece)
    return found.hexdigest()
