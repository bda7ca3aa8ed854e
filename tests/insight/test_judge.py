"""The judge: what it is asked, what is stored, that it goes on where it was, and what it is worth beside people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from studio.engine.api import CancelToken, Completion, EngineEvent, FinishReason, Request
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.errors import Interrupted, ModelError, PoolError
from studio.insight.studies.judge import BATCH, MOST, judge_items, judge_report, prompt_version, request_for, sample
from studio.insight.studies.review import open_review
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import BLANK, QUESTIONS, JudgeRecord, Opinion, Question, Rating, ReviewItem, ReviewPlan, digest_of
from studio.records import ModelIdentity
from support.bulk_pool import bulk_pool
from support.chat_kinds import KINDS
from support.completions_server import CompletionsServer, serving
from support.pools import ask, assert_sound, make_pool

ITEM = ReviewItem(0, 7, 9, "", "Sort the list:\n now", "b\na", "a\nb")
MODEL = ModelIdentity("judge", "ab" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return bulk_pool(tmp_path / "pool.db", 120)


def engine_that(answers: Callable[[Request], Completion | str]) -> tuple[ScriptedEngine, list[Request]]:
    asked: list[Request] = []

    def respond(request: Request) -> Completion | str:
        asked.append(request)
        return answers(request)

    return ScriptedEngine(respond), asked


def run(pool: Pool, engine: ScriptedEngine, size: int = 40, cancel: CancelToken | None = None) -> tuple[JudgeRecord, int]:
    judge = pool.judges.enter("judge", MODEL, prompt_version())
    return judge, judge_items(pool, engine, judge, sample(pool, ReviewPlan(size)), cancel or CancelToken())


def test_the_questions_end_where_the_answer_begins_and_share_their_rubric() -> None:
    requests = [request_for(question, ITEM) for question in QUESTIONS]
    assert len({request.prefix for request in requests}) == 3
    assert requests[0].suffix == "Sort the list: now\nDoes the instruction describe a valid task?"
    assert requests[1].suffix == "Sort the list: now\nInput: b\na\nIs the input appropriate for the instruction?"
    assert requests[2].suffix == "Sort the list: now\nInput: b\na\nOutput: a\nb\nIs the output a correct and acceptable response?"
    for request in requests:
        assert request.params.choices == (" Yes", " No")
        assert "{" not in request.prefix + request.suffix
        assert request.prefix.count("? Yes\n") == request.prefix.count("? No\n") == 3
    empty = request_for(Question.INPUT, replace(ITEM, input=" \n"))
    assert "\nInput: (empty)\n" in empty.suffix


def test_placeholders_in_a_task_stay_and_long_texts_are_cut() -> None:
    text = "{output}" + "x" * 5_000 + "end"
    request = request_for(Question.OUTPUT, replace(ITEM, instruction="{input} {output}", input=text, output="o"))
    assert request.suffix.startswith("{input} {output}\nInput: {output}xxx")
    assert "x […] x" in request.suffix
    assert len(request.suffix) < MOST + 200


def test_opinions_are_stored_with_model_version_and_probability(path: Path) -> None:
    def answer(request: Request) -> Completion:
        yes = "output a correct" not in request.suffix
        return Completion(" Yes" if yes else " No", FinishReason.STOP, 9, 0, probability=0.875 if yes else 0.25)

    engine, asked = engine_that(answer)
    with Pool.open(path) as pool:
        judge, told = run(pool, engine, 10)
        assert told == len(asked) == 30
        opinions = list(pool.judges.opinions(judge.id))
        [known] = pool.judges.all()
    assert known == JudgeRecord(judge.id, "judge", MODEL, prompt_version())
    assert {(each.question, each.answer, each.probability) for each in opinions} == {
        (Question.INSTRUCTION, True, 0.875),
        (Question.INPUT, True, 0.875),
        (Question.OUTPUT, False, 0.25),
    }
    assert len({each.instance_id for each in opinions}) == 10
    assert_sound(path)


@pytest.mark.parametrize("name", ["openai", "openrouter"])
def test_a_server_that_takes_no_raw_text_judges_in_chat(path: Path, name: str) -> None:
    behind, _ = engine_that(lambda request: "\n**Yes**, it does." if len(request.prefix) % 2 else "No.\nIt is cut off.")
    kind = KINDS[name]
    with (
        serving(CompletionsServer(behind, chat=kind)) as server,
        closing(open_engine(server.url, EngineOptions(parallel=2))) as engine,
        Pool.open(path) as pool,
    ):
        judge = pool.judges.enter("judge", MODEL, prompt_version())
        judge_items(pool, engine, judge, sample(pool, ReviewPlan(6)), CancelToken())
        opinions = list(pool.judges.opinions(judge.id))
    taken = [body for body in server.bodies if not body.keys() & kind.refuses.keys()]
    expected = [len(body["messages"][0]["content"]) % 2 == 1 for body in taken]
    assert len(opinions) == 18 and sorted(bool(each.answer) for each in opinions) == sorted(expected)
    assert {each.detail for each in opinions} == {""} and {each.probability for each in opinions} == {None}


def test_the_sample_is_that_of_the_review(path: Path) -> None:
    plan = ReviewPlan(12, "7")
    with Pool.open(path) as pool:
        drawn = sample(pool, plan)
        review = open_review(pool, pool.reviews, plan)
        assert pool.reviews.items(review.id) == drawn == sample(pool, plan)


def test_it_goes_on_where_it_was_interrupted(path: Path) -> None:
    cancel = CancelToken()

    def stop_later(request: Request) -> str:
        if len(asked) > 3 * BATCH + 5:
            cancel.cancel()
        return " Yes" if len(request.suffix) % 2 else " No"

    stopping, asked = engine_that(stop_later)
    with Pool.open(path) as pool:
        with pytest.raises(Interrupted, match="opinions of this call are kept"):
            run(pool, stopping, cancel=cancel)
        [judge] = pool.judges.all()
        before = list(pool.judges.opinions(judge.id))
        assert 3 * BATCH <= len(before) < 120
        engine, again = engine_that(lambda request: " Yes" if len(request.suffix) % 2 else " No")
        assert run(pool, engine) == (judge, 120 - len(before))
        assert len(again) == 120 - len(before)
        assert run(pool, engine) == (judge, 0)
        assert len(again) == 120 - len(before)
        opinions = list(pool.judges.opinions(judge.id))
    assert opinions[: len(before)] == before
    assert len({(each.instance_id, each.question) for each in opinions}) == 120


def test_other_texts_and_other_models_are_judged_anew(path: Path) -> None:
    engine, asked = engine_that(lambda _: " Yes")
    with Pool.open(path) as pool:
        judge, _ = run(pool, engine, 2)
        first, second = sample(pool, ReviewPlan(2))
        edited = [replace(first, output="edited"), second]
        assert judge_items(pool, engine, judge, edited, CancelToken()) == 3
        other = pool.judges.enter("judge", replace(MODEL, sha256="cd" * 32), prompt_version())
        assert other.id != judge.id
        assert judge_items(pool, engine, other, edited, CancelToken()) == 6
    assert len(asked) == 6 + 3 + 6


def test_an_answer_that_is_none_is_kept_as_such(path: Path) -> None:
    def answer(request: Request) -> Completion:
        if request.suffix.endswith("valid task?"):
            return Completion("", FinishReason.REFUSED, 0, 0, detail="too long")
        return Completion(" yes, it is" if request.suffix.endswith("response?") else " Maybe", FinishReason.STOP, 9, 3)

    engine, _ = engine_that(answer)
    with Pool.open(path) as pool:
        judge, _ = run(pool, engine, 1)
        opinions = list(pool.judges.opinions(judge.id))
        [figures] = judge_report(pool)
    assert [(each.answer, each.probability, each.detail) for each in opinions] == [
        (None, None, "too long"),
        (None, None, "neither yes nor no: Maybe"),
        (True, None, ""),
    ]
    assert figures.unanswered == 2
    assert [row.share.count for row in figures.table] == [0, 0, 1, 0]


def test_figures_and_agreement_are_those_counted_by_hand(path: Path) -> None:
    """Of ten instances a person calls eight outputs good, the judge six: five together, one the judge alone, three the person alone."""
    person = [True] * 8 + [False] * 2
    machine = [True] * 5 + [False] * 3 + [True, False]
    with Pool.open(path) as pool:
        plan = ReviewPlan(10)
        review = open_review(pool, pool.reviews, plan)
        items = pool.reviews.items(review.id)
        verdicts = {item.instance_id: verdict for item, verdict in zip(items, machine, strict=True)}
        by_output = {f"Output: {item.output}\n": verdicts[item.instance_id] for item in items}

        def answer(request: Request) -> Completion:
            yes = next((said for text, said in by_output.items() if text in request.suffix), True)
            return Completion(" Yes" if yes else " No", FinishReason.STOP, 9, 0, probability=0.75 if yes else 0.25)

        run(pool, engine_that(answer)[0], 10)
        for item, verdict in zip(items, person, strict=True):
            pool.reviews.put(review.id, "Ann", item.position, Rating((True, True, verdict)))
        pool.reviews.put(review.id, "Bob", 0, Rating((True, None, False)))
        pool.reviews.put(review.id, "Bob", 1, Rating((False, False, False), skipped=True))
        [figures] = judge_report(pool)
    shares = {row.row: (row.share.yes, row.share.count, row.probability) for row in figures.table}
    assert shares == {
        "instruction_valid": (10, 10, 0.75),
        "input_appropriate": (10, 10, 0.75),
        "output_acceptable": (6, 10, pytest.approx(0.55)),
        "all_fields_valid": (6, 10, None),
    }
    found = {(each.rater, each.row): each for each in figures.comparisons}
    ann = found["Ann", "output_acceptable"]
    assert (ann.yes_yes, ann.yes_no, ann.no_yes, ann.no_no) == (5, 3, 1, 1)
    # Equal in 6 of 10; by chance 0.8 * 0.6 + 0.2 * 0.4 = 0.56.
    assert ann.figures.agreement == pytest.approx(0.6)
    assert ann.figures.kappa == pytest.approx((0.6 - 0.56) / (1 - 0.56))
    assert found["Ann", "all_fields_valid"].figures == ann.figures
    bob = found["Bob", "output_acceptable"]
    assert (bob.figures.count, bob.no_yes) == (1, 1)
    assert found["Bob", "all_fields_valid"].figures.count == 0
    together = found[None, "output_acceptable"]
    assert (together.yes_yes, together.yes_no, together.no_yes, together.no_no) == (5, 3, 2, 1)


def test_what_people_said_of_other_texts_does_not_count(path: Path) -> None:
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, ReviewPlan(3))
        judge = pool.judges.enter("judge", MODEL, prompt_version())
        item = pool.reviews.items(review.id)[0]
        pool.judges.add(judge.id, [Opinion(item.task_id, item.instance_id, Question.OUTPUT, "other texts", True, 0.9)])
        pool.reviews.put(review.id, "Ann", 0, Rating((True, True, True)))
        [figures] = judge_report(pool)
    assert [each.figures.count for each in figures.comparisons] == [0, 0, 0, 0]


@pytest.mark.parametrize("later", [BLANK, Rating(note="odd"), Rating((None, None, False)), Rating(skipped=True)])
def test_what_a_newer_review_leaves_open_takes_no_answer_away(path: Path, later: Rating) -> None:
    with Pool.open(path) as pool:
        places = []
        for seed in ("0", "1"):
            review = open_review(pool, pool.reviews, ReviewPlan(500, seed))
            places += [(review.id, each) for each in pool.reviews.items(review.id) if each.task_id == 11]
        (older, item), (newer, again) = places
        judge = pool.judges.enter("judge", MODEL, prompt_version())
        seen = digest_of(item.instruction, item.input, item.output)
        pool.judges.add(judge.id, [Opinion(11, item.instance_id, each, seen, True) for each in Question])
        pool.reviews.put(older, "Ann", item.position, Rating((True, True, True)))
        pool.reviews.put(newer, "Ann", again.position, Rating((False, False, False)))
        pool.reviews.put(newer, "Ann", again.position, later)
        [figures] = judge_report(pool)
    told = {each.row: (each.yes_yes, each.no_yes) for each in figures.beside_people}
    last = (0, 1) if later.answers[2] is False else (1, 0)
    assert told == {"instruction_valid": (1, 0), "input_appropriate": (1, 0), "output_acceptable": last, "all_fields_valid": last}


def test_nothing_to_judge_is_an_error_and_decides_nothing(tmp_path: Path, path: Path) -> None:
    with Queries.open(make_pool(tmp_path / "seeds.db")) as pool, pytest.raises(PoolError):
        sample(pool, ReviewPlan())
    tables = [name for (name,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%fts%'")]
    before = {name: ask(path, f"SELECT * FROM {name}") for name in tables}
    with Pool.open(path) as opened:
        run(opened, engine_that(lambda _: " No")[0])
    after = {name: ask(path, f"SELECT * FROM {name}") for name in tables}
    assert {name for name in tables if before[name] != after[name]} == {"judges", "opinions", "models"}


@pytest.mark.real_model
@pytest.mark.slow
def test_the_bundled_model_judges_the_same_each_time(path: Path, tmp_path: Path) -> None:
    engine = open_engine("", EngineOptions(threads=1))
    try:
        heard = []
        for place in (path, bulk_pool(tmp_path / "again.db", 120)):
            with Pool.open(place) as pool:
                judge = pool.judges.enter("judge", engine.info.model, prompt_version())
                items = sample(pool, ReviewPlan(1))
                assert judge_items(pool, engine, judge, items, CancelToken()) == 3
                heard.append(list(pool.judges.opinions(judge.id)))
    finally:
        engine.close()
    assert heard[0] == heard[1]
    for opinion in heard[0]:
        assert opinion.probability is not None
        assert opinion.answer is (opinion.probability >= 0.5)


def test_what_was_answered_before_the_engine_failed_is_kept(path: Path) -> None:
    class Failing(ScriptedEngine):
        def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
            yield from islice(super().stream(requests, cancel), 20)
            raise ModelError("the server went away")

    with Pool.open(path) as pool:
        with pytest.raises(ModelError, match="went away"):
            run(pool, Failing(lambda _: " Yes"))
        (kept,) = ask(path, "SELECT count(*) FROM opinions")[0]
        engine, asked = engine_that(lambda _: " Yes")
        run(pool, engine)
        assert kept > 0 and kept + len(asked) == 3 * 40
