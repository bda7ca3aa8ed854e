"""The wheel is whole: what it brings runs from anywhere, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from studio.guide import SKILL

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--wheel", "--out-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_seeds_prompts_tables_templates_and_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"studio/seeds/seed_tasks.jsonl", "studio/pool/schema.sql"} <= set(names)
    assert {f"studio/loop/prompts/{path.name}" for path in (ROOT / "studio/loop/prompts").iterdir()} <= set(names)
    assert {f"studio/publish/{name}" for name in ("page.html", "parts.html", "page.css", "card.md")} <= set(names)
    assert "studio/insight/sunburst.html" in names
    assert f"studio/guide/skills/{SKILL}/SKILL.md" in names
    assert {
        f"studio/insight/studies/judge_prompts/{path.name}" for path in (ROOT / "studio/insight/studies/judge_prompts").iterdir()
    } <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)
    assert not any(name.startswith("tests") or "__pycache__" in name for name in names)


def test_the_wheel_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked alone in a folder that comes first on the path, it makes a pool of its own seeds."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    assert Path(run("-c", "import studio; print(studio.__file__)").strip()).is_relative_to(site)
    assert Path(run("-m", "studio", "seeds", "path").strip()).is_relative_to(site)
    run("-m", "studio", "run", "pool.db", "--headless", "--model", "scripted", "--target", "10")
    assert '"seeds": 175' in run("-m", "studio", "stats", "pool.db", "--json")
