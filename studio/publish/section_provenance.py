"""The page's account of where the data comes from, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterator

from studio.publish.elements import Html, facts, joined, missing, table, tag
from studio.publish.publication import Publication, RunFacts
from studio.records import ModelIdentity


def provenance_section(found: Publication) -> Iterator[Html]:
    """Origins, models with their licences, every run with seed and settings."""
    figures = found.statistics
    origins = (("seed tasks", figures.seeds), ("generated tasks", figures.generated), ("imported tasks", figures.imported))
    yield table(("origin", "active tasks"), ((name, f"{count:,}") for name, count in origins))
    if found.hold_out is not None:
        held = found.hold_out
        yield tag("p", f"{held.held:,} seed tasks were held out for evaluation before anything was generated (seed {held.seed}).")
    if not found.provenance.runs:
        yield missing("No run has generated anything in this pool yet:", "studio run POOL --headless --target 500")
        return
    yield tag("h3", "Models")
    yield from (_model(each) for each in found.provenance.models)
    yield tag(
        "p",
        "What a model writes comes under whatever its licence says of outputs. The licences are those that the model files state.",
        class_="note",
    )
    yield tag("h3", "Runs")
    yield from (_run(each) for each in found.provenance.runs)


def licence_words(model: ModelIdentity) -> str:
    """Return the licence that the model's file states."""
    return model.licence or "not stated in the file"


def _model(model: ModelIdentity) -> Html:
    known = [
        ("licence", licence_words(model)),
        ("sha256", tag("code", model.sha256)),
        ("architecture", model.architecture),
        ("parameters", f"{model.parameters:,}" if model.parameters else ""),
        ("quantisation", model.quantisation),
        ("file size", f"{model.file_size:,} bytes" if model.file_size else ""),
    ]
    return joined((tag("h4", model.name), facts(pair for pair in known if pair[1])))


def _run(found: RunFacts) -> Html:
    run, counts = found.run, found.counts
    pairs = [
        ("seed", tag("code", run.seed)),
        ("profile", found.settings.get("method.profile", "")),
        ("model", run.model.name),
        ("begun", run.started_at),
        ("studio", run.studio_version),
        ("rounds", f"{counts.rounds:,}"),
        ("candidates", f"{counts.candidates:,}, {counts.accepted:,} accepted"),
        ("instances", f"{counts.instances:,}, {counts.instances_rejected:,} more rejected"),
        ("tokens", f"{counts.completion_tokens:,} written, {counts.prompt_tokens:,} read, {counts.cached_tokens:,} of these cached"),
    ]
    settings = facts((key, tag("code", value)) for key, value in found.settings.items())
    return joined(
        (
            tag("h4", f"Run {run.id}"),
            facts(pair for pair in pairs if pair[1]),
            tag("details", tag("summary", f"All {len(found.settings)} settings"), settings),
        )
    )
