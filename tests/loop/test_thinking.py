"""What becomes of the thoughts of a reasoning model that answers in chat: not asked for, cut off, or kept beside the answers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from studio.engine.api import Request
from studio.engine.scripted import ScriptedEngine
from studio.engine.thoughts import thought_spans
from studio.loop.events import Noted
from studio.loop.parsing import MODEL_THINKS, told_apart
from studio.loop.session import Goal
from studio.loop.settings import profile
from studio.pool.exchange.export import ExportOptions, export_to_stream
from studio.pool.exchange.formats import FORMATS
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.pool import Pool, Queries
from support.pools import ask, assert_sound
from support.sessions import all_seeds, configuration, exported, play, session_in

_GENERATED = "SELECT output, thoughts, completions.text FROM instances LEFT JOIN completions ON completions.request_id = answer_id"


def thinker() -> ScriptedEngine:
    return ScriptedEngine(chats=True, thinks=True)


def generated(path: Path) -> list[tuple[str, str | None, str]]:
    return ask(path, f"{_GENERATED} WHERE verdict = 'accepted' AND answer_id IS NOT NULL")


def records(path: Path, name: str) -> list[str]:
    stream = io.BytesIO()
    with Queries.open(path) as reader:
        export_to_stream(reader.stream, stream, ExportOptions(name))
    return stream.getvalue().decode().splitlines()


def test_thoughts_are_written_and_stay_out_of_the_data(tmp_path: Path, path: Path) -> None:
    events = play(path, Goal(rounds=2), thinker(), configuration())
    rows = generated(path)
    assert rows and all(text.startswith("<think>\n") and thoughts is None for _, thoughts, text in rows)
    assert all(text.endswith(f"</think>\n\n{output}") for output, _, text in rows)
    assert Noted(MODEL_THINKS) in events
    assert "They want something" not in exported(path)
    # What it decides is what a model decides that has no thoughts.
    play(tmp_path / "plain.db", Goal(rounds=2), ScriptedEngine(chats=True), configuration())
    assert exported(path) == exported(tmp_path / "plain.db")
    assert_sound(path)


def test_a_model_can_be_asked_not_to_think(path: Path) -> None:
    events = play(path, Goal(rounds=1), thinker(), configuration(thinking="off", likely_share=0.5))
    assert generated(path) and Noted(MODEL_THINKS) not in events
    assert ask(path, "SELECT count(*) FROM completions WHERE text LIKE '%<think>%'") == [(0,)]
    chats = [json.loads(text) for (text,) in ask(path, "SELECT chat FROM chats")]
    assert chats and not any(chat["thinking"] for chat in chats)


def test_thoughts_that_come_all_the_same_are_stripped(path: Path) -> None:

    def deaf(request: Request) -> str:
        if request.chat is None:
            return " No" if request.params.choices else "Output: none"
        return "<think>\nHm.\n</think>\n\n" + (
            "Write a poem about harbours at night." if request.chat.begins else "The lamps of the harbour are asleep at night."
        )

    play(path, Goal(rounds=1), ScriptedEngine(deaf, chats=True), configuration(thinking="off", template_requests=0))
    assert {output for output, _, _ in generated(path)} == {"The lamps of the harbour are asleep at night."}
    assert "Hm." not in exported(path)


def test_thoughts_can_be_kept_beside_the_answers(path: Path) -> None:
    play(path, Goal(rounds=2), thinker(), configuration(thinking="keep", best_of=2))
    rows = generated(path)
    assert rows and all(text == f"<think>\n{thoughts}\n</think>\n\n{output}" for output, thoughts, text in rows)
    instructions = "".join(text for (text,) in ask(path, "SELECT instruction || output FROM tasks JOIN instances ON task_id = tasks.id"))
    assert "<think>" not in instructions and "They want something" not in instructions
    for name in FORMATS:
        if not FORMATS[name].files and not FORMATS[name].paired:
            assert any("They want something" in line for line in records(path, name)) == (name in ("chat", "raw"))
    messages = json.loads(records(path, "chat")[0])["messages"]
    assert list(messages[1]) == ["role", "content", "reasoning_content"]
    assert messages[1]["reasoning_content"].startswith("They want something")


def test_worse_answers_come_without_their_thoughts(path: Path) -> None:
    play(path, Goal(rounds=2), thinker(), configuration(thinking="keep", best_of=3))
    lines = records(path, "preference-text")
    assert lines and not any("They want something" in line or "think>" in line for line in lines)


@pytest.mark.parametrize("name", ["chat", "raw"])
def test_kept_thoughts_come_back(tmp_path: Path, name: str) -> None:
    path, other, file = tmp_path / "pool.db", tmp_path / "other.db", tmp_path / "data.jsonl"
    play(path, Goal(rounds=1), thinker(), configuration(thinking="keep"))
    file.write_text("\n".join(records(path, name)), encoding="utf-8")
    with Pool.create(other, all_seeds()) as pool:
        [report] = import_files(pool.tasks, [file], ImportOptions())
    assert not any("reasoning" in key or "thoughts" in key for key in report.tally.untaken)
    assert sorted(text for (text,) in ask(other, "SELECT thoughts FROM instances WHERE thoughts IS NOT NULL")) == sorted(
        thoughts for _, thoughts, _ in generated(path) if thoughts
    )


def test_thoughts_do_not_go_with_an_output_that_a_person_changed(path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool, thinker(), configuration(thinking="keep"))
        list(session.run(Goal(rounds=1)))
        (instance,) = ask(path, "SELECT id FROM instances WHERE thoughts IS NOT NULL AND verdict = 'accepted' LIMIT 1")[0]
        found = pool.instances.get(instance)
        session.steering.edit_instance(instance, found.input, "By hand.")
        lines = [line for line in records(path, "chat") if "By hand." in line]
        assert len(lines) == 1 and "reasoning_content" not in lines[0]
        session.steering.undo()
        assert pool.instances.get(instance).thoughts == found.thoughts
    assert sum("reasoning_content" in line for line in records(path, "chat")) == len(generated(path))


def test_a_person_asks_for_another_answer_with_its_thoughts(path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool, thinker(), configuration(thinking="keep"))
        list(session.run(Goal(rounds=1)))
        (task_id,) = ask(path, "SELECT task_id FROM instances WHERE answer_id IS NOT NULL AND input = '' LIMIT 1")[0]
        list(session.steering.more_instances(task_id))
        assert (pool.instances.of_task(task_id)[-1].thoughts or "").startswith("They want something")


def test_requests_have_room_for_thoughts(tmp_path: Path, path: Path) -> None:
    play(path, Goal(rounds=1), thinker(), configuration(thinking_tokens=77))
    rows = ask(
        path,
        "SELECT DISTINCT json_extract(params, '$.thinking_tokens'), json_extract(chat, '$.writes_request') FROM requests"
        " JOIN sampling ON sampling.id = sampling_id LEFT JOIN chats ON chats.id = chat_id",
    )
    assert set(rows) == {(77, 0), (77, None), (0, 1)}
    short = tmp_path / "short.db"
    play(short, Goal(rounds=1), thinker(), configuration(thinking_tokens=4))
    assert not generated(short)
    assert ask(short, "SELECT DISTINCT reason FROM instances WHERE answer_id IS NOT NULL") == [("thinking",)]


def test_what_raw_completions_keep_is_all_of_the_text(path: Path) -> None:
    play(path, Goal(rounds=1), asked=configuration("code", thinking="keep"))
    assert ask(path, "SELECT DISTINCT json_extract(params, '$.thinking_tokens') FROM sampling") == [(0,)]
    assert profile("code").model_copy(update={"thinking": "keep"}).leaves_thoughts
    assert not profile("studio").model_copy(update={"thinking": "keep", "asking": "chat"}).leaves_thoughts


def test_where_thoughts_stand() -> None:
    text = "<think>a</think>\nB\n<think>\nc\n</think>\nD"
    assert [text[span.inner_start : span.inner_end].strip() for span in thought_spans(text)] == ["a", "c"]
    assert [span.closed for span in thought_spans("x\n</think>\n<think>y")] == [True, False]
    assert list(told_apart(text)) == [
        ("<think>a</think>", True),
        ("\nB\n", False),
        ("<think>\nc\n</think>", True),
        ("\nD", False),
    ]
    assert list(told_apart(text, 8)) == [(text[8:16], True), *list(told_apart(text))[1:]]
    assert thought_spans("Nothing.") == []
