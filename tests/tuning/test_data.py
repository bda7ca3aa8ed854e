"""The data of a training: which instances it has, on which side, what stands for them, and how they are written.

Prompt formats: the method's thirteen, drawn alike for alike keys, and templates that hostile text cannot break.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loop import released_code
from loop.nasty import any_text
from studio.engine.chat_template import TurnTexts
from studio.errors import PoolError, UsageError
from studio.pool.exchange.parts import Part
from studio.pool.pool import Pool, Queries
from studio.pool.trainings import Side
from studio.records import Instance, Origin, SeedTask, Turn
from studio.tuning.data import _FIELD, WITH_INPUT, WITHOUT_INPUT, TrainingData, _plainer, collect, in_chat, training_settings, write
from studio.tuning.job import TrainingSettings
from support.generated_pool import build_pool
from support.trainings import lesson_pool

GENERATED = [
    ("Name three rivers.", False, (Instance("", "Elbe, Oder"), Instance("of Spain", "Ebro"))),
    ("Sing.", False, (Instance("", "La."),)),
]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", GENERATED)


def collected(pool: Path, around: TurnTexts | None = None, **settings: object) -> TrainingData:
    with Queries.open(pool) as reader:
        return collect(reader, TrainingSettings.model_validate({"format": "varied"} | settings), around)


def test_which_tasks(pool: Path) -> None:
    def instructions(data: str) -> set[str]:
        return {example.instruction for example in collected(pool, data=data).examples}

    generated = {"Name three rivers.", "Sing.", "Name a colour."}
    seeds = {"Greet a guest in one sentence.", "Is this review good or bad?"}
    assert (instructions("generated"), instructions("seeds"), instructions("all")) == (generated, seeds, generated | seeds)


def test_no_instruction_is_on_both_sides(tmp_path: Path) -> None:
    data = collected(lesson_pool(tmp_path / "lessons.db", 200), validation=0.25)
    sides = [{example.instruction for example in data.side(side)} for side in Side]
    assert not sides[0] & sides[1]
    assert 25 < len(sides[1]) < 75
    assert collected(tmp_path / "lessons.db", validation=0).side(Side.VALIDATION) == []


def test_lines_have_what_an_evaluation_needs(pool: Path) -> None:
    data = collected(pool, validation=0, format="plain")
    records = [json.loads(line) for line in data.lines(Side.TRAIN).splitlines()]
    assert len(records) == 6
    assert all(set(record) == {"task_id", "instance_id", "instruction", "input", "prompt", "completion"} for record in records)
    rivers = next(record for record in records if record["input"] == "of Spain")
    assert rivers["prompt"] == "Name three rivers.\n\nof Spain\n\nOutput:" and rivers["completion"] == " Ebro"


def test_equal_data_have_equal_fingerprints(pool: Path) -> None:
    first = collected(pool).fingerprint
    assert collected(pool).fingerprint == first and len(first) == 64
    assert collected(pool, seed="1").fingerprint != first
    with Pool.open(pool) as opened:
        opened.tasks.add([SeedTask("", "", "Count to three.", (Instance("", "1 2 3"),), False)], Origin.IMPORTED)
    assert collected(pool).fingerprint != first


def test_what_the_format_writes_alike_comes_once(tmp_path: Path) -> None:
    twice = SeedTask("a", "", "Sing a song.", (Instance("", "La."), Instance(" ", "La."), Instance("", "  ")), False)
    Pool.create(tmp_path / "pool.db", [twice, SeedTask("b", "", "Hum a song.", (Instance("", "Mm."),), False)]).close()
    assert len(collected(tmp_path / "pool.db", validation=0, format="plain").examples) == 2


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="no generated tasks with usable instances"):
        collected(lesson_pool(tmp_path / "seeds.db"), data="generated")
    with pytest.raises(PoolError, match="two different instructions"):
        collected(lesson_pool(tmp_path / "one.db", 1))
    assert collected(tmp_path / "one.db", validation=0).examples


class Template(TurnTexts):
    """A template for conversations that begin with a user's turn, and perhaps a system turn."""

    def __init__(self, *, system: bool = True, most: int = 9) -> None:
        self.end = "<|end|>"
        self._system = system
        self._most = most

    def around(self, roles: tuple[str, ...]) -> tuple[str, ...] | None:
        if len(roles) > self._most or ("system" in roles and not self._system):
            return None
        return (f"<|{roles[0]}|>", *(f"<|end|><|{role}|>" for role in roles[1:]), "<|end|><|assistant|>")


AROUND = Template()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def prompts(instance: Instance, number: int = 400) -> set[str]:
    return {write("varied", "Add them.", instance, str(key)).prompt for key in range(number)}


def test_all_thirteen_formats_are_drawn() -> None:
    assert (len(WITH_INPUT), len(WITHOUT_INPUT)) == (7, 6)
    assert prompts(Instance("", "x")) == {pattern.format(instruction="Add them.") for pattern in WITHOUT_INPUT}
    assert prompts(Instance("2 and 3", "5")) == {pattern.format(instruction="Add them.", input="2 and 3") for pattern in WITH_INPUT}


def test_half_of_the_inputs_lose_their_only_field_name() -> None:
    found = [write("varied", "Add them.", Instance("Numbers: 2\n\n3", "5"), str(key)).prompt for key in range(1000)]
    plainer = [prompt for prompt in found if "2\n3" in prompt]
    assert 400 < len(plainer) < 600
    assert not any("Numbers:" in prompt for prompt in plainer)
    assert all("Numbers: 2\n\n3" in prompt for prompt in found if prompt not in plainer)
    assert all("A: 1" in prompt and "B: 2" in prompt for prompt in prompts(Instance("A: 1 B: 2", "x")))


@given(st.from_regex(r"[A-Za-z]\w*( \w+){0,3}", fullmatch=True), TEXTS)
@example("Customer message", "my parcel\n\nis late")
@example("Text", "meet at 10:30")
def test_an_only_field_loses_its_name_as_in_the_released_code(name: str, text: str) -> None:
    given_input = f"{name}: {text}".strip()
    assert _plainer(given_input) == released_code.training_input(given_input)


@given(any_text)
@example("See https://example.org")
@example("https://example.org/a")
@example("10:30")
@example("My parcel is late. Reason: strike")
def test_where_no_name_begins_an_input_nothing_of_it_is_dropped(text: str) -> None:
    text = text.strip()
    kept = released_code.training_input(text) if _FIELD.match(text) else text.replace("\n\n", "\n")
    assert _plainer(text) == kept


def test_completions_fit_their_prompts() -> None:
    for key in range(50):
        written = write("varied", " Say it. ", Instance("", "  yes \n"), str(key))
        assert written.completion == ("yes" if written.prompt.endswith("\n") else " yes")
    assert write("plain", "Say it.", Instance("now", "yes"), "0").prompt == "Say it.\n\nnow\n\nOutput:"
    assert write("alpaca", "Say it.", Instance("", "yes"), "0").prompt.endswith("### Instruction:\nSay it.\n\n### Response:\n")
    assert "### Input:\nnow\n\n### Response:\n" in write("alpaca", "Say it.", Instance("now", "yes"), "0").prompt


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_texts_stand_in_their_prompts_unchanged(instruction: str, given_input: str, output: str, key: str) -> None:
    instance = Instance(given_input, output)
    [chat] = in_chat(instruction, instance, AROUND)
    assert chat.parts is not None and "".join(chat.parts[:3]) == chat.prompt
    for written in (chat, *(write(name, instruction, instance, key) for name in ("varied", "plain", "alpaca"))):
        assert instruction.strip() in written.prompt
        assert written.completion.strip() == output.strip()
    assert write("varied", instruction, instance, key) == write("varied", instruction, instance, key)


def test_a_chat_prompt_stands_within_the_models_own_template() -> None:
    [written] = in_chat("Say it.", Instance("now", "yes"), AROUND)
    assert written.parts == ("<|user|>", "Say it.\n\nnow", "<|end|><|assistant|>", "<|end|>")


TALK = Instance(
    "now",
    "yes",
    "Hm.",
    " Be brief. ",
    (Turn("user", " Why?"), Turn("assistant", "Because."), Turn("user", "And?"), Turn("assistant", "So."), Turn("tool", "{}")),
)


@pytest.fixture
def talking(tmp_path: Path) -> Path:
    with Pool.create(tmp_path / "talk.db", []) as pool:
        pool.tasks.add([SeedTask("", "", "Say it.", (TALK, Instance("", "maybe")), None)], Origin.IMPORTED)
    return tmp_path / "talk.db"


def test_a_conversation_is_an_example_for_each_answer_with_all_that_was_said_before(talking: Path) -> None:
    data = collected(talking, AROUND, validation=0, format="chat")
    first = ("<|system|>", "Be brief.", "<|end|><|user|>", "Say it.\n\nnow", "<|end|><|assistant|>")
    second = (*first, "yes", "<|end|><|user|>", "Why?", "<|end|><|assistant|>")
    third = (*second, "Because.", "<|end|><|user|>", "And?", "<|end|><|assistant|>")
    found = [(example.written.parts, example.written.completion) for example in data.examples]
    plain = ("<|user|>", "Say it.", "<|end|><|assistant|>", "<|end|>")
    assert found == [((*first, "<|end|>"), "yes"), ((*second, "<|end|>"), "Because."), ((*third, "<|end|>"), "So."), (plain, "maybe")]
    assert all("".join(parts[:-1]) == example.written.prompt for (parts, _), example in zip(found, data.examples, strict=True) if parts)
    # The tool's turn behind them has no place, and thoughts are never trained on.
    assert list(data.notes()) == [
        "later turns are not trained on: left out of 1 instance",
        "thoughts are not trained on: left out of 1 instance",
    ]


def test_a_template_that_takes_less_gets_what_it_takes(talking: Path) -> None:
    data = collected(talking, Template(system=False, most=3), validation=0, format="chat")
    prompts = [example.written.prompt for example in data.examples]
    first = "<|user|>Be brief.\n\nSay it.\n\nnow<|end|><|assistant|>"
    assert prompts == [first, f"{first}yes<|end|><|user|>Why?<|end|><|assistant|>", "<|user|>Say it.<|end|><|assistant|>"]
    assert data.lost == {Part.TURNS: 1, Part.THOUGHTS: 1}


def test_other_formats_train_on_the_first_exchange_and_say_so(talking: Path) -> None:
    data = collected(talking, validation=0, format="plain")
    assert [example.written.prompt for example in data.examples] == ["Say it.\n\nnow\n\nOutput:", "Say it.\n\nOutput:"]
    assert data.lost == dict.fromkeys(Part, 1)


def test_a_format_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="unknown prompt format 'chatt'") as caught:
        training_settings({"format": "chatt"})
    assert caught.value.hint == "did you mean 'chat'?"
