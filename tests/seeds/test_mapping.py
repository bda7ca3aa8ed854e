"""`--map`: paths into records of any shape, what they take, and what of it is a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.records import Instance
from studio.seeds.fields import holds
from studio.seeds.inputs import FaultyFile, Input, ParsedTask
from studio.seeds.json_file import RawRecord
from studio.seeds.mapping import MISSING, FieldMap, KeyPath, parse_map, parse_path, paths_in, written_key
from studio.seeds.reading import inspect_file, parse

SQUAD = {
    "id": "56",
    "title": "Warsaw",
    "question": "Where is it?",
    "context": "Warsaw lies on the Vistula.",
    "answers": {"text": ["on the Vistula", "in Poland"], "answer_start": [12, 3]},
}


def mapping(*assignments: str) -> FieldMap:
    found = parse_map(assignments)
    assert found is not None
    return found


def read(path: Path, *assignments: str, name: str = "auto") -> list[ParsedTask]:
    return list(parse(Input(path), name, mapping(*assignments)))


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def one(tmp_path: Path, record: object, *assignments: str) -> ParsedTask:
    [parsed] = read(written(tmp_path / "mine.jsonl", record), *assignments)
    return parsed


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("question", ("question",)),
        ("answers.text[0]", ("answers", "text", 0)),
        (" answers . text [ -1 ]", ("answers", "text", -1)),
        ("turns[*].text", ("turns", None, "text")),
        ('"a.key, with \\"all\\"".x', ('a.key, with "all"', "x")),
        ("'a.b'[2]", ("a.b", 2)),
        ("My Question", ("My Question",)),
        ("[0].x", (0, "x")),
        ("a[0][1]", ("a", 0, 1)),
    ],
)
def test_paths(text: str, steps: tuple[object, ...]) -> None:
    assert parse_path(text).steps == steps


@pytest.mark.parametrize("text", ["", ".", "a.", "a..b", ".a", "a[", "a[x]", "a[0", '"a', "a]b", "a[0]b"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(UsageError, match="no path"):
        parse_path(text)


keys = st.text(min_size=1, max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, json_values, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_path_that_is_listed_leads_to_something(record: dict[str, object]) -> None:
    for path in paths_in(record):
        assert parse_path(path).find(record) is not MISSING


@given(keys)
@settings(max_examples=150, deadline=None)
def test_a_key_as_it_is_written_is_the_key(key: str) -> None:
    assert parse_path(written_key(key)).steps == (key,)


def test_fields_from_anywhere(tmp_path: Path) -> None:
    parsed = one(tmp_path, SQUAD, "instruction=question,input=context", "output=answers.text[0], key=id,name=title")
    assert parsed.task is not None
    assert (parsed.task.instruction, parsed.task.key, parsed.task.name) == ("Where is it?", "56", "Warsaw")
    assert parsed.task.instances == (Instance("Warsaw lies on the Vistula.", "on the Vistula"),)
    assert parsed.untaken == ("answers.text[]", "answers.answer_start")
    assert parsed.renamed == ("instruction from question", "input from context", "output from answers.text[0]", "name from title")


def test_all_of_a_list_and_fields_that_are_joined(tmp_path: Path) -> None:
    parsed = one(tmp_path, SQUAD, r"instruction={question} ({title}, {{1}}),input={title}\n{context}", "output=answers.text[*]")
    assert parsed.task is not None
    assert parsed.task.instruction == "Where is it? (Warsaw, {1})"
    assert parsed.task.instances == (Instance("Warsaw\nWarsaw lies on the Vistula.", "on the Vistula\nin Poland"),)
    assert parsed.untaken == ("id", "answers.answer_start")


def test_fields_that_are_joined_and_all_empty_are_empty(tmp_path: Path) -> None:
    record = {"q": "Ask.", "title": None, "body": "", "a": "x"}
    parsed = one(tmp_path, record, r"instruction=q,input=Title: {title}\n{body},output=a")
    assert parsed.task is not None and parsed.task.instances == (Instance("", "x"),)


def test_a_conversation_under_any_key(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye."}]
    record = {"data": {"dialogue_v2": said}, "persona": "Be kind.", "messages": "not these"}
    parsed = one(tmp_path, record, "messages=data.dialogue_v2,system=persona")
    assert parsed.task is not None
    [instance] = parsed.task.instances
    assert (parsed.task.instruction, instance.output, instance.system, len(instance.turns)) == ("Hi.", "Hello.", "Be kind.", 1)
    assert parsed.untaken == ("messages",)


def test_thoughts_and_system_beside_an_answer(tmp_path: Path) -> None:
    record = {"q": "2+2?", "cot": "Two and two.", "a": 4, "s": "Be brief.", "topic": "sums", "is_classification": "no"}
    parsed = one(tmp_path, record, "instruction=q,output=a,thoughts=cot,system=s,is_classification=is_classification")
    assert parsed.task is not None and parsed.task.is_classification is False
    assert parsed.task.instances == (Instance("", "4", "Two and two.", "Be brief."),)
    assert (parsed.untaken, parsed.as_text) == (("topic",), ("a",))


def test_capitals_and_blanks_matter_only_where_keys_differ_by_nothing_else(tmp_path: Path) -> None:
    parsed = one(tmp_path, {"Text": "one", "text": "two", " Answer ": "x"}, "instruction=text,output=answer")
    assert parsed.task is not None and parsed.task.instruction == "two" and parsed.task.instances == (Instance("", "x"),)
    assert parsed.untaken == ("Text",)


@pytest.mark.parametrize(
    ("record", "field", "fault"),
    [
        ({"q": "", "a": {"text": ["x"]}}, "q", "empty"),
        ({"q": ["x"], "a": {"text": ["x"]}}, "q", "a list where text is needed"),
        ({"a": {"text": ["x"]}}, "q", "missing: there are a.text[0]"),
        ({"q": "x", "a": {"text": []}}, "a.text[0]", "missing: there are q, a.text"),
        ({"q": "x", "a": None}, "a.text[0]", "missing: there are q, a"),
        ({"q": "x", "a": {"text": [{"y": 1}]}}, "a.text[0]", "an object where text is needed"),
    ],
)
def test_what_a_record_lacks_is_a_fault_of_it(tmp_path: Path, record: object, field: str, fault: str) -> None:
    sound = {"q": "Ask.", "a": {"text": ["y"]}}
    _, parsed = read(written(tmp_path / "mine.jsonl", sound, record), "instruction=q,output=a.text[0]")
    assert parsed.task is None
    assert [(each.line, each.field, each.fault) for each in parsed.faults] == [(2, field, fault)]


def test_a_path_that_no_record_has_ends_it_with_the_keys_there_are(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", SQUAD, {"question": "x", "other key": 1})
    with pytest.raises(FaultyFile) as caught:
        read(path, "instruction=question,output=answer.text[0]")
    listed = "id, title, question, context, answers.text[0], answers.answer_start[0], other key"
    assert caught.value.message == f"{path}: no record has answer.text[0]; there are {listed}"
    assert "did you mean answers.text[0]?" in caught.value.hint


def test_a_path_that_is_nowhere_is_told_before_the_whole_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", *[{"question": "x"}] * 1500)
    with pytest.raises(FaultyFile, match="none of the first 1,000 records has answer; there are question"):
        next(parse(Input(path), mapping=mapping("instruction=question,output=answer")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("instruction", "no TARGET=PATH"),
        ("instruction=", "no TARGET=PATH"),
        ("output=a", "nothing is mapped to instruction"),
        ("instrution=a", "no field 'instrution'"),
        ("instruction=a,instruction=b", "mapped twice"),
        ("instruction=a,messages=b", "messages and instruction are both mapped"),
        ("instruction={a", "without its other half"),
        ("instruction={{}}", "names no field"),
        ("instruction=a[x]", "no path"),
    ],
)
def test_what_is_no_mapping(given: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        mapping(given)


def test_nothing_is_no_mapping() -> None:
    assert parse_map(()) is None


def test_a_comma_belongs_to_the_key_unless_a_field_follows() -> None:
    found = mapping("instruction=What, exactly,output={a}, {b}")
    assert str(found) == "instruction=What, exactly,output={a}, {b}"
    assert found.sources["instruction"].paths == (KeyPath("What, exactly", ("What, exactly",)),)


def test_a_mapping_and_a_format_contradict_each_other(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", SQUAD)
    with pytest.raises(UsageError, match="--format alpaca"):
        read(path, "instruction=question", name="alpaca")
    assert read(path, "instruction=question", name="jsonl")[0].task is not None


@pytest.mark.parametrize(
    "text",
    [
        "Frage;Antwort\nWo?;Hier.\n",
        "sep=;\nFrage;Antwort\nWo?;Hier.\n",
        "Frage,Antwort\nWo?,Hier.\n",
        "Frage\tAntwort\nWo?\tHier.\n",
        "'Frage','Antwort'\n'Wo?','Hier.'\n",
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_columns_of_a_table(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"mine.{suffix}"
    path.write_text(text, "utf-8")
    [parsed] = read(path, "instruction=frage,output=ANTWORT")
    assert parsed.task is not None and (parsed.task.instruction, parsed.task.instances) == ("Wo?", (Instance("", "Hier."),))


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("Frage;Antwort\nWo?;Hier.\n", "utf-8")
    with pytest.raises(FaultyFile, match="no record has Fragen; there are Frage, Antwort"):
        read(path, "instruction=Fragen")


@pytest.mark.parametrize(
    "document",
    [
        {"version": 1, "rows": [{"q": "One?", "tags": [{"x": 1}]}, {"q": "Two?", "tags": [{"x": 2}]}]},
        [{"q": "One?", "tags": [{"x": 1}]}, {"q": "Two?", "tags": [{"x": 2}]}],
    ],
)
def test_lists_in_records_are_no_records(tmp_path: Path, document: object) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document, indent=1), "utf-8")
    assert [parsed.task.instruction for parsed in read(path, "instruction=q") if parsed.task] == ["One?", "Two?"]


@pytest.mark.parametrize(
    "document", [{"q": ["One?", "Two?"], "a": ["1", "2"]}, {"q": {"0": "One?", "1": "Two?"}, "a": {"0": "1", "1": "2"}}]
)
@pytest.mark.parametrize("where", ["q", "{q}"])
def test_columns_are_no_record(tmp_path: Path, document: object, where: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document), "utf-8")
    assert [parsed.task.instruction for parsed in read(path, f"instruction={where},output=a") if parsed.task] == ["One?", "Two?"]


def test_a_column_of_conversations(tmp_path: Path) -> None:
    said = [[{"role": "user", "content": text}, {"role": "assistant", "content": "x"}] for text in ("One?", "Two?")]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"talk": said}), "utf-8")
    assert [parsed.task.instruction for parsed in read(path, "messages=talk") if parsed.task] == ["One?", "Two?"]


def test_seeds_are_mapped_too(tmp_path: Path) -> None:
    found = inspect_file(written(tmp_path / "mine.jsonl", SQUAD), mapping("instruction=question,output=answers.text[-1]"))
    assert [task.instances for task in found.tasks] == [(Instance("", "in Poland"),)]
    assert (found.format, found.faults) == ("mapped", ())


@given(st.lists(st.dictionaries(st.sampled_from("abc"), json_values, max_size=3), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_nothing_of_a_record_goes_in_silence(records: list[dict[str, object]]) -> None:
    found = mapping("instruction=a,output=b[0]")
    for record in records:
        parsed = found.parsed(RawRecord(1, None, record, raw=record))
        if parsed.task is not None:
            assert ("c" in parsed.untaken) == holds(record.get("c"))
        else:
            assert parsed.faults
