"""The card of an exported dataset for the Hugging Face hub: `README.md` with a YAML header.

What it says stands in `card.md`. The header's fields are those of https://github.com/huggingface/hub-docs/blob/main/datasetcard.md
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from studio import __version__
from studio.errors import UsageError
from studio.insight.statistics import statistics
from studio.insight.statistics_report import SOURCE_HEADINGS, quality_headings, quality_rows, scorecard_rows, source_meanings, source_rows
from studio.paths import shown
from studio.pool.exchange.export import ExportOptions, ExportSummary
from studio.pool.exchange.formats import TaskStream, find_format
from studio.pool.exchange.outputs import writing
from studio.pool.pool import Queries
from studio.publish.publication import distinct_quotes, licence, provenance, templates
from studio.text import display, display_line

if TYPE_CHECKING:
    from jinja2 import Template

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_LARGEST = "n>10M"
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SPECIAL = re.compile(r"([!-+.:-@\[-`{-~])")
# Not printable to YAML 1.2 (section 5.1): noncharacters, and whatever `display_line` leaves of the like.
_UNPRINTABLE = re.compile("[\ufffe\uffff]")


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
    """What was exported: from where, how, without what the lints of these codes found, and into which files.

    `notes` say in words of our own what instances have that is not in the files, `pairs` how many pairs of answers there are of each
    evidence, empty where the format has no pairs.
    """

    source: TaskStream
    options: ExportOptions
    lints: tuple[str, ...]
    files: tuple[DataFile, ...]
    notes: tuple[str, ...] = ()
    pairs: str = ""

    @property
    def records(self) -> int:
        return sum(each.records for each in self.files)


def dataset_card(pool: Queries, options: CardOptions, exported: Exported) -> str:
    """Return the card. Equal pools and exports give equal cards. Raises PoolError."""
    tasks = exported.source.export_tasks(exported.options.include_seeds, exported.options.keep)
    facts = provenance(pool)
    return _template().render(
        options=options,
        exported=exported,
        format=find_format(exported.options.format),
        size=size_category(exported.records),
        facts=facts,
        figures=statistics(pool),
        example=next(iter(tasks), None),
        version=__version__,
        licence=licence,
        scorecard_rows=scorecard_rows,
        quotes=distinct_quotes([each.asked for each in facts.runs]),
        source_headings=SOURCE_HEADINGS,
        source_rows=source_rows,
        source_meanings=source_meanings,
        quality_headings=quality_headings,
        quality_rows=quality_rows,
    )


@cache
def _template() -> Template:
    """Return the card's template. Whatever is put into it is anybody's text, unless it is `Markdown`."""
    # Jinja's own escaping is of HTML.
    environment = templates(lambda value: value if isinstance(value, Markdown) else inline(str(value)), escaped=False)
    environment.filters |= {"comma": "{:,}".format, "written": Markdown, "fenced": fenced, "yaml": yaml_string}
    return environment.get_template("card.md")


class Markdown(str):
    """Markdown or YAML that is safe as it stands: the studio's own words, or a text that was made safe."""

    __slots__ = ()


def inline(text: str) -> Markdown:
    """Return anybody's text as one line of Markdown that says just that: punctuation that could be markup within a line is escaped.

    CommonMark 0.31, section 2.4: any ASCII punctuation character may be backslash-escaped, and then is no markup. Points and colons are,
    too, since some readers make links of bare addresses.
    """
    return Markdown(_SPECIAL.sub(r"\\\1", display_line(text)))


def fenced(text: str, language: str = "") -> Markdown:
    """Return text as a code block whose fence is longer than any run of backticks in it (CommonMark 0.31, section 4.5)."""
    shown = display(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return Markdown(f"{fence}{language}\n{shown}\n{fence}")


def yaml_string(text: str) -> Markdown:
    """Return anybody's text as a double-quoted YAML scalar on one line: JSON's strings are such (YAML 1.2, section 1.3).

    Other than in JSON, control characters are shown and not escaped, since a reader would put them back.
    """
    return Markdown(json.dumps(_UNPRINTABLE.sub("\ufffd", display_line(text)), ensure_ascii=False))


def size_category(records: int) -> str:
    """Return the hub's word for so many records."""
    return next((name for limit, name in _SIZES if records < limit), _LARGEST)


def _split(path: Path) -> str:
    return next((side for side in ("train", "validation") if path.stem.endswith(f".{side}")), "train")


def _relative(card: Path, path: Path) -> str:
    folder, place = Path(os.path.realpath(card)).parent, Path(os.path.realpath(path))
    if not place.is_relative_to(folder):
        message = f"the card names its files from its own folder, and {shown(path)} is not in it or below"
        raise UsageError(message, "such as -o data/all.jsonl --card README.md")
    return place.relative_to(folder).as_posix()


def _digest(path: Path) -> str:
    with writing(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
