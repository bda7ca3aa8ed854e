"""Under the grammar of triples every item parses, and ordinary tasks may be written."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import CancelToken, Finished, FinishReason, Request, SamplingParams
from studio.engine.llama.engine import LlamaEngine
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.loop.events import Noted
from studio.loop.parsing import SPACE, parse_triples, triples_grammar
from studio.loop.prompts import builtin_prompt, numbered_triples
from studio.loop.session import Goal
from studio.loop.settings import profile
from studio.loop.stages.instructions import NO_GRAMMAR
from studio.records import Origin, Task, TaskState
from support.engines import bundled_identity
from support.gbnf import matches, rules_of, written
from support.pools import ask
from support.sessions import all_seeds, configuration, play

FOUR_TO_SIX = rules_of(triples_grammar(4, 6))
NASTY = "aInstructionput:OI. #\n\t\u3000\u00a045678<noinput>é"


def seeds(count: int) -> list[Task]:
    return [
        Task(number, Origin.SEED, TaskState.ACTIVE, "", each.instruction, None, each.instances)
        for number, each in enumerate(all_seeds()[:count], 1)
    ]


@given(st.integers(0, 1 << 30), st.integers(0, 600))
def test_every_text_of_the_grammar_parses(seed: int, longest: int) -> None:
    text = written(FOUR_TO_SIX, random.Random(seed), NASTY, longest)
    items = parse_triples(text.removesuffix("\n###\n"), first_number=4, truncated=False)
    assert 1 <= len(items) <= 3
    assert not any(item.discard for item in items), text
    assert all(item.text and item.input is not None and item.output for item in items)


def test_seeds_could_be_written_under_it() -> None:
    rules = rules_of(triples_grammar(4, 40))
    # The prompt's own form, from the fourth task on.
    text = numbered_triples(seeds(40)).split("4. Instruction:", 1)[1].rpartition("\n###\n")[0]
    assert matches(rules, text) and matches(rules, text + "\n###\n")


@pytest.mark.parametrize(
    ("field", "may"),
    [
        ("It was in 1950. In spring.", True),
        ("Type 4. Input: now", False),
        ("Type 4.\u3000Output: now", False),
        ("Type 4. Output now", True),
        ("Type 4.Input: now", True),
        ("## Two\n### Three", False),
        ("a.b #c ##d", True),
        ("", False),
    ],
)
def test_what_a_field_may_hold(field: str, may: bool) -> None:
    assert matches(FOUR_TO_SIX, f" Do it.\n4. Input:\n{field}\n4. Output:\nDone.") is may


@pytest.mark.parametrize(
    "text",
    [" A.\nB.\n4. Input:\nx\n4. Output:\ny", " A.\n5. Input:\nx\n5. Output:\ny", " A.\n4. Output:\ny", "A.\n4. Input:\nx\n4. Output:\ny"],
)
def test_other_forms_are_none(text: str) -> None:
    assert not matches(FOUR_TO_SIX, text)


def test_white_space_is_that_of_regular_expressions() -> None:
    letters = "".join(map(chr, range(sys.maxunicode + 1)))
    assert set(re.findall(r"\s", letters)) == {"\n", *re.findall(f"[{SPACE}]", letters)}


def test_an_engine_without_grammars_is_told_of_once(path: Path) -> None:
    events = play(path, Goal(rounds=2), ScriptedEngine(), configuration("alpaca", triples_grammar=True))
    assert [event for event in events if event == Noted(NO_GRAMMAR)] == [Noted(NO_GRAMMAR)]
    assert ask(path, "SELECT DISTINCT json_extract(params, '$.grammar') FROM sampling") == [("",)]
    assert not profile("alpaca").triples_grammar


@pytest.mark.real_model
@pytest.mark.slow
def test_the_bundled_model_writes_tasks_that_parse() -> None:
    prompt = builtin_prompt("triples").replace("{list_end}", "6").replace("{tasks}", numbered_triples(seeds(3))).removesuffix("\n")
    params = SamplingParams(temperature=0.0, repeat_penalty=1.1, max_tokens=400, grammar=triples_grammar(4, 4))
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=2048, threads=1, parallel=1))
    try:
        assert engine.info.grammars
        [done] = [each.completion for each in engine.stream([Request("", prompt, params, 1)], CancelToken()) if isinstance(each, Finished)]
    finally:
        engine.close()
    assert done.finish_reason is FinishReason.STOP
    [item] = parse_triples(done.text.removesuffix("\n###\n"), first_number=4, truncated=False)
    assert item.discard == "" and item.text and item.output
