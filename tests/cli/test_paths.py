"""Paths that a user gives, wherever a command takes one: what cannot be used is an error of one line, and nothing is made."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest

from studio.cli import cli
from studio.errors import PoolError, StudioError, UsageError
from studio.paths import app_folder, user_path
from support.command import STUDIO, assert_fails, clean_environment, studio
from support.pools import NOBODY, in_child, make_pool

LONG = "x" * 300
UNUSABLE = {
    "~nobody-of-that-name/x.db": "there is no user",
    "~/x.db": "there is no home folder",
    LONG: "name too long",
    f"{LONG}/x.db": "name too long",
    "notes.txt/x.db": "not a directory",
    "loop": "symbolic links",
    "": "a path is empty",
}
NO_POOL = {
    "folder": "a folder",
    "pipe": "a pipe",
    "dangling": "nowhere",
    "notes.txt": "no SQLite database",
    "empty.db": "empty",
    "none/x.db": "",
}
PLACED = ("pool.db", "notes.txt", "seeds.txt", "empty.db", "folder", "loop", "dangling", "pipe")
POOLS = (
    *("show @", "stats @", "lint @", "diversity @ --words", "export @ -o -", "export @ -o data.jsonl", "report @ -o page.html"),
    *("import @ seeds.txt", "run @ --headless --model scripted --rounds 1", "review @ --report", "review @ --export -", "compare @ --list"),
    *("judge @ --report", "judge @ --model scripted", "evaluate @ --report", "finetune @"),
)
FILES = (
    *("run new.db --headless --model scripted --seeds @", "run new.db --headless --config @", "run new.db --headless --adapter @"),
    *("run new.db --headless --model @", "run new.db --headless --set prompts.instructions=@", "import pool.db @", "seeds check @"),
    *("overlap @ seeds.txt", "overlap seeds.txt @", "lint pool.db --against @", "models optimize @"),
)
WRITTEN = (
    "export pool.db --include-seeds -o @",
    "report pool.db -o @",
    "export pool.db --include-seeds -o data.jsonl --card @",
    "models @",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pool and with all that is none. No command of these tests changes it."""
    place = tmp_path_factory.mktemp("paths")
    make_pool(place / "pool.db")
    (place / "notes.txt").write_text("no pool but longer than the header of one\n" * 9)
    (place / "seeds.txt").write_text("Name three rivers.\n")
    (place / "empty.db").touch()
    (place / "folder").mkdir()
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("nowhere")
    os.mkfifo(place / "pipe")
    return place


@pytest.fixture
def folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is `place`, and the user has no home."""
    monkeypatch.chdir(place)
    without_home(monkeypatch)
    return place


def without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "STUDIO_MODELS"):
        monkeypatch.delenv(name, raising=False)

    def nobody(user: Any) -> Any:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", nobody)


def refused(words: str, path: str) -> StudioError:
    """Return how a command ends that is given `path` in the place of `@`; anything but an error of the studio is raised."""
    given = [word.replace("@", path) for word in words.split()]
    with pytest.raises(StudioError) as caught:
        cli.main(given, prog_name="studio", standalone_mode=False)
    # SQLite leaves a reader's files beside the pool.
    assert not [each.name for each in Path().iterdir() if each.name not in PLACED and not each.name.startswith("pool.db")]
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", [*POOLS, *FILES, *WRITTEN])
def test_no_command_takes_a_path_that_cannot_be(words: str) -> None:
    for path, told in UNUSABLE.items():
        if path or ("=@" not in words and "optimize" not in words and not words.endswith(("--adapter @", "--model @"))):
            assert told in refused(words, path).message.lower(), path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", POOLS[:-1])
def test_what_is_no_pool_is_called_by_its_name(words: str) -> None:
    for path, told in NO_POOL.items():
        if words.startswith("run") or path != "dangling":
            error = refused(words, path)
            assert isinstance(error, PoolError) and told in error.message, path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", FILES)
def test_a_folder_and_a_link_to_nothing_are_no_files(words: str) -> None:
    for path in ("folder", "dangling"):
        assert refused(words, path).exit_code in (2, 3), path


def test_a_path_of_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x.db") == tmp_path / "x.db"
    assert user_path("~root") == Path("~root").expanduser()
    monkeypatch.chdir(tmp_path)
    Path("~draft").touch()
    assert user_path("~draft") == Path("~draft")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have(text: str) -> None:
    with pytest.raises(PoolError) as caught:
        user_path(text, PoolError)
    assert "\0" not in caught.value.message
    with pytest.raises(UsageError):
        user_path(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_a_folder_that_may_not_be_searched(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o600)
    tmp_path.chmod(0o755)

    def look() -> None:
        os.setuid(NOBODY)
        with pytest.raises(PoolError, match="permission denied"):
            user_path(closed / "pool.db", PoolError)

    assert in_child(look) == 0


def test_a_working_directory_that_is_gone_is_an_error_of_one_line(tmp_path: Path) -> None:
    command = 'cd "$1" && rmdir "$1" && shift && "$@"'
    for words in ("stats x.db", "doctor --model scripted", "run x.db --headless --model scripted"):
        gone = tmp_path / "gone"
        gone.mkdir()
        called = ["bash", "-c", command, "bash", str(gone), *STUDIO, *words.split()]
        assert_fails(
            subprocess.run(called, env=clean_environment(), capture_output=True, text=True, check=False), 1 if "doctor" in words else 4
        )


@pytest.mark.parametrize("kind", ["cache", "data", "log", "state"])
def test_without_a_home_nothing_can_be_made_in_the_studios_own_folders(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without_home(monkeypatch)
    place = app_folder(kind)
    assert place.is_absolute()
    with pytest.raises(OSError, match="Not a directory"):
        place.mkdir(parents=True)


def test_a_run_without_a_home_or_a_name_does_without_caches(tmp_path: Path) -> None:
    environment = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "XDG_DATA_HOME": "", "USER": "", "LOGNAME": ""}
    done = studio("run", "x.db", "--headless", "--rounds", "1", "--model", "scripted", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.db", "x.db.lock"]
