"""The dataset card: a header that the hub's own library reads, and texts that stay texts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from studio.cli.export import export_command
from studio.errors import ExitCode
from studio.pool.pool import Pool
from studio.publish.card import fenced, inline, size_category, yaml_string
from studio.records import Instance, Origin, SeedTask, Turn
from studio.text import display_line
from support.command import assert_fails, studio
from support.pools import digest
from support.publications import HOSTILE, published_pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_pool(tmp_path_factory.mktemp("pool") / "pool.db", HOSTILE)


def header_of(card: Path) -> dict[str, Any]:
    """The header as a YAML parser reads it."""
    _, header, _ = card.read_text(encoding="utf-8").split("---\n", 2)
    found = yaml.safe_load(header)
    assert isinstance(found, dict)
    return found


def write_card(pool: Path, folder: Path, *options: str) -> Path:
    (folder / "data").mkdir()
    done = studio("export", pool, "-o", folder / "data" / "all.jsonl", "--card", folder / "README.md", *options)
    assert done.returncode == 0, done.stderr
    return folder / "README.md"


def test_what_an_export_adds_and_leaves_out_is_said(tmp_path: Path) -> None:
    with Pool.create(tmp_path / "pool.db", []) as made:
        talk = Instance("", "Paris.", "Hm.", "", (Turn("user", "And?"), Turn("assistant", "Rome."), Turn("tool", "{}")))
        made.tasks.add([SeedTask("", "", "Name a capital.", (talk,), None)], Origin.IMPORTED)
    text = write_card(tmp_path / "pool.db", tmp_path, "--system", "Be ``` kind.").read_text(encoding="utf-8")
    assert "Records that had no system turn were given this one:\n\n````\nBe ``` kind.\n````\n" in text
    lost = "alpaca has no place for later turns: left out of 1 instance; alpaca has no place for thoughts: left out of 1 instance"
    assert f"Of the pool is not in the files: {lost}." in text


def test_the_hub_reads_the_header_and_finds_the_files(pool: Path, tmp_path: Path) -> None:
    said = ("--license", "cc-by-4.0", "--language", "en", "--language", "de", "--title", "My set")
    card = write_card(pool, tmp_path, "--split", "0.8", *said)
    header = header_of(card)
    assert header == DatasetCard.load(card).data.to_dict()
    assert (header["license"], header["language"], header["pretty_name"]) == ("cc-by-4.0", ["en", "de"], "My set")
    assert header["task_categories"] == ["text-generation"] and header["size_categories"] == ["n<1K"]
    files = {each["split"]: each["path"] for each in header["configs"][0]["data_files"]}
    assert files == {"train": ["data/all.train.jsonl"], "validation": ["data/all.validation.jsonl"]}
    text = card.read_text(encoding="utf-8")
    for (path,) in files.values():
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() in text
    assert "records in the format `alpaca` (instruction, input, output), written by" in text
    assert "ab" * 32 in text and "No person has checked every record" in text
    from datasets import load_dataset

    loaded = load_dataset(str(tmp_path))
    assert {name: len(part) for name, part in loaded.items()} == {
        split: len((tmp_path / path).read_text(encoding="utf-8").splitlines()) for split, (path,) in files.items()
    }


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_are_only_titles(pool: Path, tmp_path: Path, title: str) -> None:
    if "\x00" in title:
        pytest.skip("no argument of a command can hold a NUL")
    (tmp_path / "data").mkdir()
    card = tmp_path / "README.md"
    words = [str(pool), "-o", str(tmp_path / "data" / "all.jsonl"), "--card", str(card), f"--title={title}"]
    done = CliRunner().invoke(export_command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    header = header_of(card)
    assert header["pretty_name"] == display_line(title).replace("\uffff", "\ufffd")
    assert set(header) == {
        "pretty_name", "license", "task_categories", "size_categories", "annotations_creators", "language_creators", "tags", "configs"
    }  # fmt: skip


@given(st.text())
def test_any_text_comes_back_from_yaml_as_it_is_shown(text: str) -> None:
    shown = display_line(text)
    read = yaml.safe_load(f"key: {yaml_string(text)}")["key"]
    assert read == "".join("\ufffd" if ord(each) & 0xFFFE == 0xFFFE and ord(each) < 0x10000 else each for each in shown)


@given(st.text())
def test_any_text_is_one_harmless_line_of_markdown(text: str) -> None:
    shown = inline(text)
    assert "\n" not in shown
    bare = shown.replace("\\\\", "")
    for place, mark in enumerate(bare):
        assert mark not in "<>[]()*_`|#!&~" or bare[place - 1] == "\\"


@given(st.text(alphabet="`a\n "))
def test_a_fence_is_never_closed_from_within(text: str) -> None:
    first, *inner, last = fenced(text).split("\n")
    assert first == last and set(first) == {"`"}
    assert all(first not in line for line in inner)


@pytest.mark.parametrize(("records", "words"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (10**8, "n>10M")])
def test_sizes_have_the_hubs_words(records: int, words: str) -> None:
    assert size_category(records) == words


def test_a_card_is_not_overwritten_and_what_does_not_fit_is_said_before_anything_is_written(pool: Path, tmp_path: Path) -> None:
    card, data = tmp_path / "README.md", tmp_path / "all.jsonl"
    card.write_text("mine")
    assert_fails(studio("export", pool, "-o", data, "--card", card), ExitCode.USAGE, "there already", "--force")
    for options, words in (
        (("-o", "-", "--card", card), "a card goes with a file"),
        (("-o", data, "--title", "x"), "add --card"),
        (("-o", data, "--card", tmp_path / "sub" / "README.md"), "is not in it or below"),
        (("-o", data, "--card", card, "--force", "--license", "My Licence"), "no licence identifier"),
        (("-o", data, "--card", card, "--force", "--language", "English"), "no language code"),
    ):
        assert_fails(studio("export", pool, *options), ExitCode.USAGE, words)
    assert card.read_text() == "mine" and not data.exists()
    done = studio("export", pool, "-o", data, "--card", card, "--force", "--exclude-lint", "refusal")
    assert done.returncode == 0 and "it states no licence" in done.stderr
    assert header_of(card)["license"] == "unknown" and "lints find nothing wrong with: refusal" in card.read_text(encoding="utf-8")
    before = digest(card)
    assert studio("export", pool, "-o", data, "--card", card, "--force", "--exclude-lint", "refusal").returncode == 0
    assert digest(card) == before
