"""The page's account of evaluation: the figures of base and tuned, what they answered, and what people thought of it."""

from __future__ import annotations

from collections.abc import Iterator

from studio.publish.elements import Html, facts, joined, missing, tag
from studio.publish.evaluations import EvaluationFacts
from studio.publish.examples import AnsweredExample
from studio.publish.publication import Publication
from studio.publish.section_examples import quoted, shortened


def evaluation_section(found: Publication) -> Iterator[Html]:
    """Every evaluation of the pool, the newest first."""
    if not found.evaluations:
        yield missing("Nothing has been evaluated with this pool yet:", "studio evaluate POOL")
    for each in found.evaluations:
        yield from _evaluation(each)


def _evaluation(found: EvaluationFacts) -> Iterator[Html]:
    record = found.evaluation
    yield tag("h3", f"{record.name}: {record.items:,} items")
    yield facts(
        [
            ("items", joined(("sha256 ", tag("code", record.fingerprint)))),
            ("decoding", f"greedy, at most {record.max_tokens:,} tokens"),
            *((f"contestant {place}", each.contestant.label) for place, each in enumerate(found.contestants, 1)),
        ]
    )
    if found.examples:
        yield tag("h4", "Answers")
        yield tag("p", f"{len(found.examples)} of {record.items:,} items, drawn at random.", class_="note")
        yield from (_answers(found, each) for each in found.examples)


def _answers(found: EvaluationFacts, example: AnsweredExample) -> Html:
    item = example.item
    parts = [tag("h4", shortened(item.instruction))]
    if item.input:
        parts += [tag("p", "Input", class_="field"), quoted(item.input)]
    parts += [tag("p", "Reference", class_="field"), quoted(item.outputs[0] if item.outputs else "")]
    for record, answer in zip(found.contestants, example.answers, strict=True):
        shown = tag("p", "(no answer yet)", class_="note") if answer is None else quoted(answer)
        parts += [tag("p", record.contestant.label, class_="field"), shown]
    return tag("article", *parts)
