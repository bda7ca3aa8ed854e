"""Opening a run: pool, settings and seeds are checked first, then the model is loaded, then the run begins or goes on.

The one way in for the terminal studio and for the run without a screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from studio.documents.found import find_documents
from studio.documents.reading import DocumentFile
from studio.engine.api import Engine
from studio.engine.model_file import NO_ADAPTER, parted
from studio.engine.opening import Opener, Wish, open_both, open_engine
from studio.engine.options import KV_BYTES, KV_CELLS, KV_TYPE, MAX_CONTEXT, MAX_PARALLEL, MAX_PARALLEL_SERVER, EngineOptions, FlashAttention
from studio.engine.remote.address import is_address
from studio.errors import ModelError, PoolError, UsageError
from studio.loop.parsing import collapse
from studio.loop.runs import ANSWERING, ENGINE, NO_MODEL, Configuration, Intent, Run, RunOptions, begin, intent, stored_engine
from studio.loop.session import Session
from studio.loop.settings import Method
from studio.paths import user_path
from studio.pool.imports import ImportedFile
from studio.pool.pool import Pool
from studio.records import HoldOut, Origin, SeedTask
from studio.seeds.inputs import name_of
from studio.seeds.mapping import FieldMap
from studio.seeds.reading import SeedFile, bundled_seeds, draw_hold_out, join_tasks, read_seeds


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run as it was asked for. `seeds` are the files a new pool starts from; none means the bundled ones.

    `mapping` says where the fields of a task stand in those files; without it that is told by their keys. `licences` are those of files
    whose licence is known.
    `documents` are files and folders whose passages instructions are written for, `licence` is theirs, empty where nobody said it.
    """

    pool: Path
    configuration: Configuration
    seeds: tuple[Path, ...] = ()
    force: bool = False
    mapping: FieldMap | None = None
    licences: Mapping[Path, str] = field(default_factory=dict)
    documents: tuple[Path, ...] = ()
    licence: str = ""

    @property
    def settings(self) -> Configuration:
        """The configuration; with documents they are what instructions are written for."""
        return self.configuration.with_documents() if self.documents else self.configuration


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run ready to generate. Pool and engines belong to the `Opening` that made it and are closed by it.

    `answering` is the engine of the model that answers, where there is one of its own.
    """

    pool: Pool
    engine: Engine
    run: Run
    answering: Engine | None = None
    brought: tuple[str, ...] = ()
    """What became of the documents, in sentences."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know of the documents and of how the models run, in sentences."""
        own = (*self.brought, *self.engine.info.notices)
        if self.answering is None or self.answering is self.engine:
            return own
        other = self.answering.info
        return (*own, *(f"{other.model.name}, which answers: {notice}" for notice in other.notices))

    def session(self) -> Session:
        """A new session of the run, its novelty index filled from the pool."""
        return Session(self.pool, self.engine, self.run.method, self.run.seed, self.run.id, self.answering)


class Opening:
    """A run being opened; a context manager that closes engine and pool.

    Everything that can be wrong with pool, settings and seeds is raised by the constructor, before a model is loaded; a new pool is made
    after that.
    """

    def __init__(self, asked: RunRequest, opener: Opener = open_engine) -> None:
        """Open the pool if it is there and resolve what was asked for against it. Raises PoolError and UsageError."""
        self._asked = asked
        self._opener = opener
        self._engines: tuple[Engine, ...] = ()
        self.notes: list[str] = []
        """What the user should know of the seed files and documents: what of them is not taken."""
        self.pool = Pool.open(asked.pool) if asked.pool.exists() else None
        try:
            self._wanted = intent(self.pool, asked.settings, force=asked.force)
            files = _seed_files(asked, self.pool, self.notes)
            self.files = _imported(files, asked)
            """The files that a new pool starts from."""
            self._seeds = join_tasks(task for file in files for task in file.tasks)
            self._held = _hold_out(asked, self.pool, self._seeds, self._wanted.seed)
            self._documents = _documents(asked, self.pool, self._wanted.method, self.notes)
        except BaseException:
            self.close()
            raise

    @property
    def model(self) -> str:
        """The model to load, as it was asked for or as the pool's run has it; empty for the bundled one."""
        return self._asked.configuration.options.model or model_of(self._wanted)

    @property
    def answer_model(self) -> str:
        """The model of the stage `answer` in the same way; empty where it has none of its own."""
        asked = self._asked.configuration.options.models.answer
        return "" if asked == NO_MODEL else asked or model_of(self._wanted, ANSWERING)

    def start(self) -> OpenRun:
        """Load the models, make the pool if it is new, and begin the run or go on with it. Raises ModelError, PoolError, UsageError."""
        asked, force = self._asked.configuration.options, self._asked.force
        own = Wish(self.model, engine_options(asked, self._wanted, force=force))
        if self.answer_model:
            options = engine_options(asked.model_copy(update={"model": self.answer_model}), self._wanted, ANSWERING, force=force)
            engine, answering = self._engines = open_both(own, Wish(self.answer_model, options), self._opener)
        else:
            engine, answering = self._opener(own.model, own.options), None
            self._engines = (engine,)
        told = None if answering is None else answering.info
        if self.pool is None:
            # A model that cannot be asked so leaves no pool behind.
            self._wanted.method.resolved(engine.info, self._wanted.target, told)
            self.pool = Pool.create(self._asked.pool, self._seeds, self._held, self.files)
        brought: list[str] = []
        if self._documents:
            brought = self.pool.documents.bring(self._documents, self._asked.licence, self._wanted.method.cutting)
        _require_passages(self.pool, self._wanted.method, brought)
        run = begin(self.pool, self._wanted, engine.info, force=force, answering=told)
        return OpenRun(self.pool, engine, run, answering, tuple(brought))

    def close(self) -> None:
        """Free the models and close the pool. Safe to call twice."""
        for engine in self._engines:
            engine.close()
        if self.pool is not None:
            self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def model_of(wanted: Intent, engine: str = ENGINE) -> str:
    """What a resumed run was made with: the file where it is still there, else a model of that name; empty for a new pool.

    With `ANSWERING` it is the model that answers, empty where there was none of its own.
    """
    if wanted.stored is None:
        return ""
    model = wanted.stored.model if engine == ENGINE else wanted.stored.answering
    if model is None:
        return ""
    opened = str(stored_engine(wanted.stored, engine).get("model", ""))
    return opened if "://" in opened or Path(opened).is_file() else parted(model.name)[0]


def adapter_of(options: RunOptions, wanted: Intent, *, force: bool) -> str:
    """The path of the adapter asked for, or that of the run to go on with; empty for none. Raises ModelError when the run's own is gone."""
    if options.adapter == NO_ADAPTER:
        return ""
    if options.adapter:
        return str(user_path(options.adapter, ModelError).absolute())
    if wanted.stored is None or wanted.differences or force:
        return ""
    stored = str(stored_engine(wanted.stored).get("adapter", ""))
    if stored and not Path(stored).is_file():
        raise ModelError(f"{stored}: the adapter this pool's run was made with is gone", "name its new place with --adapter")
    return stored


def engine_options(options: RunOptions, wanted: Intent, engine: str = ENGINE, *, force: bool = False) -> EngineOptions:
    """A resumed run keeps its sequences, its contexts, their size and its adapter unless others are asked for: all shape the outcome.

    They may have been chosen for a bigger machine, so that an engine may give them up, saying whose they were. Those of another kind of
    engine mean nothing to this one. `engine` is which of the run's it is; the adapter is for its own model alone.
    """
    before = stored_engine(wanted.stored, engine) if wanted.stored is not None and not wanted.differences else {}
    at_server = is_address(str(before.get("model", "")))
    if options.model and is_address(options.model) != at_server:
        before = {}
    most = MAX_PARALLEL_SERVER if at_server else MAX_PARALLEL
    kv_cells = KV_CELLS[bool(before.get("streams"))]
    other_cells = options.kv_cells not in ("", kv_cells)
    # Tokens that are divided among sequences are for so many of them.
    others = options.parallel not in (0, before.get("parallel")) and bool(before.get("streams"))
    stored = {
        # The same tokens hold more sequences or fewer where these share their cells or no longer do.
        "context": 0 if other_cells or others else _count(before, "context_tokens", MAX_CONTEXT),
        "parallel": _count(before, "parallel", most),
        "contexts": _count(before, "contexts", most),
    }
    asked: dict[str, Any] = {"context": options.context, "parallel": options.parallel, "contexts": 0}
    kept = tuple(name for name, number in stored.items() if number and not asked[name])
    return EngineOptions(
        **options.model_dump(include={"gpu_layers", "threads", "split_mode", "tensor_split", "main_gpu", "cpu_moe"}),
        flash_attention=_flash_attention(options, before),
        kv_type=options.kv_type or (KV_TYPE if before.get("kv_type") not in KV_BYTES else before["kv_type"]),
        kv_cells=options.kv_cells or kv_cells,
        adapter=adapter_of(options, wanted, force=force) if engine == ENGINE else "",
        **(asked | {name: stored[name] for name in kept}),
        kept=kept,
        origin=f"the pool's run of {wanted.stored.started_at[:10]}" if wanted.stored is not None and kept else "",
    )


def _flash_attention(options: RunOptions, engine: Mapping[str, Any]) -> str:
    """What was asked for, or what was for an engine on record: where that went another way than it goes by itself, that way."""
    used = engine.get("flash_attention")
    other_type = options.kv_type not in ("", engine.get("kv_type", KV_TYPE))
    if options.flash_attention != FlashAttention.AUTO or other_type or used in (None, bool(engine.get("layers_offloaded"))):
        return options.flash_attention
    return FlashAttention.ON if used else FlashAttention.OFF


def _count(engine: Mapping[str, Any], name: str, most: int) -> int:
    """Return a number on record; 0 where it is missing, or more than an engine takes."""
    number = engine.get(name, 0)
    return number if isinstance(number, int) and 0 <= number <= most else 0


def _seed_files(asked: RunRequest, pool: Pool | None, notes: list[str]) -> Sequence[SeedFile]:
    if pool is not None:
        if asked.seeds:
            raise UsageError(f"{asked.pool} exists already, --seeds is for a new pool", "use `studio import` to add tasks to it")
        return ()
    folder = asked.pool.parent
    if not folder.is_dir():
        raise PoolError(f"the folder {folder} for the pool does not exist", f"create it first: mkdir -p {folder}")
    files = [read_seeds(path, asked.mapping) for path in asked.seeds] or [read_seeds(bundled_seeds())]
    notes += [f"{file.path}: {note}" for file in files for note in file.notes]
    return files


def _imported(files: Sequence[SeedFile], asked: RunRequest) -> list[ImportedFile]:
    """What a new pool notes of its seed files; a task that several have counts for the first of them."""
    found: list[ImportedFile] = []
    known: set[str] = set()
    for file in files:
        before = len(known)
        known.update(collapse(task.instruction) for task in file.tasks)
        told = (name_of(file.path), Origin.SEED, file.format, file.sha256, file.size, file.records, len(known) - before)
        found.append(ImportedFile(*told, mapping=str(asked.mapping or ""), licence=asked.licences.get(file.path, "")))
    return found


def _documents(asked: RunRequest, pool: Pool | None, method: Method, notes: list[str]) -> tuple[DocumentFile, ...]:
    """The documents to bring. Raises UsageError where instructions are to be written for passages and there is no document."""
    if not asked.documents:
        if method.document_requests and pool is None:
            raise UsageError("document_requests needs documents", "name files or folders with --documents")
        if pool is not None:
            _require_passages(pool, method)
        return ()
    if not method.document_requests:
        raise UsageError("document_requests = 0 leaves nothing to do for --documents", "leave one of the two out")
    found = find_documents(asked.documents)
    notes += found.notes
    return found.files


def _require_passages(pool: Pool, method: Method, brought: Sequence[str] = ()) -> None:
    if method.document_requests and not pool.documents.any(method.cutting):
        told = f" ({brought[0]})" if brought else ""
        raise UsageError(
            f"{pool.path} has no passages of at most {method.cutting.size} characters to write instructions for{told}",
            "name files or folders with --documents; passage_least says how short a passage may be",
        )


def _hold_out(asked: RunRequest, pool: Pool | None, seeds: Sequence[SeedTask], seed: str) -> HoldOut | None:
    """Decided once, when a pool is made: afterwards the seeds it keeps apart might have been sampled already."""
    wanted = asked.configuration.options.hold_out
    if not wanted:
        return None
    if pool is None:
        return draw_hold_out(seeds, wanted, seed)
    held = pool.evaluations.hold_out()
    if held is None or held.asked != f"{wanted:g}":
        there = f"holds out {held.held} seeds since it was made (--hold-out {held.asked})" if held else "was made without --hold-out"
        raise UsageError(f"{asked.pool} {there}", "leave --hold-out out to go on with it, or name a new pool")
    return None
