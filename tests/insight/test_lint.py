"""What each lint says of a hand-made table, that its help states those figures, and how lints of the whole pool compute theirs."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from studio.errors import StudioError, UsageError
from studio.insight.lint.api import Measured, Part
from studio.insight.lint.run import LINTS
from studio.loop.tokens import unicode_tokens
from studio.pool.stream import LintInstance, LintTask
from studio.records import Turn
from studio.seeds.reading import bundled_seeds, read_tasks
from support.lint_pools import found_by, numbered_tasks
from support.lint_tables import FAULTY, SOUND, Row

NEAR = (
    ("Name three rivers in Germany and France.", "In France and Germany, name three rivers."),
    ("Write a short poem about the sea in winter.", "Write a poem about the sea in winter."),
    ("List five healthy breakfast ideas.", "list FIVE healthy breakfast ideas!!"),
    ("How do I boil an egg for breakfast?", "How do I boil an egg for my breakfast?"),
    ("Explain why the sky looks blue at noon.", "Explain why at noon the sky looks blue."),
    ("Describe a day in the life of a farmer.", "Describe the day in the life of a farmer."),
    # Missed: other words, and a changed word among few.
    ("Name the capital of France.", "Which city is the French capital?"),
    ("Name two birds.", "Name two birds please."),
)
APART = (
    ("Name three rivers.", "Name three rivers in Europe that reach the sea."),
    ("Write a poem about the sea.", "Write a story about the sea."),
    ("Explain photosynthesis.", "Explain photosynthesis to a child of five."),
    ("List five fruits.", "List five vegetables."),
    ("Translate the sentence.", "Correct the sentence."),
    ("How old is the moon?", "How far is the moon?"),
    # Reported wrongly: one word that turns the task round.
    ("Find the largest number in the following list of the numbers.", "Find the smallest number in the following list of the numbers."),
    ("Rewrite the sentence in the active voice and explain it.", "Rewrite the sentence in the passive voice and explain it."),
)

CONTRADICTING = (
    (("Good or bad?", "I loved it.", "good"), ("good or  bad?", "i loved it.", "bad")),
    (("Is it a fruit?", "Pear", "yes"), ("Is it a fruit?", "pear ", "No.")),
    (("Is water wet?", "", "yes"), ("Is water wet?", "", "no")),
    (("Spam or not?", "Win!\nNow!", "spam"), ("Spam or not?", "Win! Now!", "not spam")),
    # Missed: other words.
    (("Good or bad?", "I loved it.", "good"), ("Is the review good or bad?", "I loved it.", "bad")),
    (("Good or bad?", "I loved it.", "good"), ("Good or bad?", "I loved it!!", "bad")),
)
AGREEING = (
    (("Good or bad?", "I loved it.", "good"), ("Good or bad?", "I loved it.", "Good.")),
    (("Good or bad?", "I loved it.", "good"), ("Good or bad?", "I hated it.", "bad")),
    (("Good or bad?", "I loved it.", "good"), ("Long or short?", "I loved it.", "short")),
    (("Good or bad?", "", "good"), ("Good or bad?", "x", "bad")),
    # Reported wrongly: two words for one label.
    (("Good or bad?", "I loved it.", "good"), ("Good or bad?", "I loved it.", "positive")),
    (("Is it a fruit?", "Pear", "yes"), ("Is it a fruit?", "Pear", "Yes, it is")),
)

ENGLISH = tuple(
    f"Describe the {thing} that you have in the house and how it is used." for thing in ("table", "chair", "lamp", "bed", "door")
)
FOREIGN = (
    "Beschreibe, wie man einen Kuchen backt, und nenne die Zutaten für den Teig.",
    "Опишите, как испечь пирог.",
    "Explique comment on fait une tarte et donne la liste des ingrédients pour la pâte.",
    "写一首关于大海的诗。",
    "Escribe una lista de las frutas que se venden en el mercado y su precio.",
    "Scrivi una lista di frutta che si trova al mercato e il prezzo della frutta.",
    # Missed: too short; not listed.
    "Nenne drei Flüsse.",
    "Sebutkan tiga sungai di pulau itu dan jelaskan panjangnya masing masing.",
)
OWN = (
    "Name three rivers.",
    "Explain the word Zeitgeist and how it is used in English today.",
    "What is the capital of France and how many people live there?",
    "List café, naïve and résumé in the order of the alphabet.",
    "Name a city: München, Köln or Zürich, and say what it is known for.",
    "Calculate 3 + 4 * 5 - 6 / 2.",
    "Give a formula with α, β and γ in it for the area of a shape.",
    "Why do airplane windows have a tiny hole?",
    # Reported wrongly: a title.
    "Die Leiden des jungen Werther und die Räuber",
)

EVALUATION = ("Write a haiku about the sea in winter.", "Sort the words by their length.")
PASSAGE = "The quick brown fox jumps over the lazy dog near the river bank."
OVERLAPPING: tuple[tuple[str, str, str], ...] = (
    ("Write a haiku about the sea in autumn.", "", "Waves."),
    ("write a HAIKU about the sea in winter", "", "Waves."),
    ("Continue.", "They say the quick brown fox jumps over the lazy dog", "Near the river."),
    ("Tell a story.", "", "Once the quick brown fox jumps over the lazy dog."),
    ("Please sort the words by their length.", "", "a bc"),
    # Missed: other words.
    ("Compose three lines of verse on the wintry ocean.", "", "Waves."),
)
CLEAR: tuple[tuple[str, str, str], ...] = (
    ("Write a letter to the mayor.", "", "Dear mayor"),
    ("Explain what a haiku is.", "", "A short poem."),
    ("Name a fox.", "", "Reynard"),
    ("Shorten.", "The brown fox jumps over a lazy dog.", "A fox jumps."),
    ("Sort the numbers.", "3 2 1", "1 2 3"),
    # Reported wrongly: a saying that anybody knows.
    ("Give a pangram.", "", "The quick brown fox jumps over the lazy dog."),
)


def count(hits: list[bool]) -> tuple[int, int]:
    return sum(hits), len(hits)


def test_the_figures_of_near_duplicates() -> None:
    hits = [[found_by("near-duplicate", numbered_tasks(*pair)).tasks == [2] for pair in pairs] for pairs in (NEAR, APART)]
    assert Measured(*count(hits[0]), *count(hits[1])) == LINTS["near-duplicate"].measured


def test_the_figures_of_contradictions() -> None:
    def contradict(pair: tuple[tuple[str, str, str], ...]) -> bool:
        return found_by("contradiction", numbered_tasks(*pair, classification=True)).tasks == [1, 2]

    hits = [[contradict(pair) for pair in pairs] for pairs in (CONTRADICTING, AGREEING)]
    assert Measured(*count(hits[0]), *count(hits[1])) == LINTS["contradiction"].measured


def test_the_figures_of_languages() -> None:
    hits = [[found_by("language", numbered_tasks(*ENGLISH, text)).tasks == [6] for text in texts] for texts in (FOREIGN, OWN)]
    assert Measured(*count(hits[0]), *count(hits[1])) == LINTS["language"].measured


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    path = tmp_path / "evaluation.jsonl"
    rows = [{"instruction": text, "input": "", "output": PASSAGE} for text in EVALUATION]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_figures_of_contamination(evaluation: Path) -> None:
    hits = [
        [found_by("contamination", numbered_tasks(row), against=(evaluation,)).tasks == [1] for row in rows]
        for rows in (OVERLAPPING, CLEAR)
    ]
    assert Measured(*count(hits[0]), *count(hits[1])) == LINTS["contamination"].measured


@pytest.mark.parametrize("least", [0.5, 0.8, 1.0])
def test_near_duplicates_are_those_of_comparing_every_pair(least: float) -> None:
    rng = random.Random(f"near/{least}")
    words = list("abcdefghijklmn")
    texts = [" ".join(rng.sample(words, rng.randrange(0, 9))) for _ in range(400)]
    expected: dict[int, float] = {}
    kept: list[set[str]] = []
    for task_id, text in enumerate(texts, 1):
        mine = set(unicode_tokens(text))
        best = max((len(mine & other) / len(mine | other) for other in kept), default=0.0) if mine else 0.0
        if best >= least:
            expected[task_id] = best
        elif mine:
            kept.append(mine)
    found = found_by("near-duplicate", numbered_tasks(*texts), near=least)
    assert found.tasks == list(expected)
    assert 20 < len(expected) < 400


def test_the_named_task_of_a_near_duplicate_is_the_most_similar_earlier_one() -> None:
    texts = ("Name one two three four five.", "Name one two three four six seven.", "Name one two three four six.")
    found = found_by("near-duplicate", numbered_tasks(*texts), near=0.6)
    assert [(each.task_id, each.other) for each in found.examples] == [(2, 1), (3, 1)]
    found = found_by("near-duplicate", numbered_tasks(*texts), near=0.8)
    assert [(each.task_id, each.other) for each in found.examples] == [(3, 2)]


def test_contradictions_name_each_other_and_leave_other_tasks_alone() -> None:
    rows = (("Wet?", "water", "yes"), ("Dry?", "sand", "yes"), ("wet?", "Water", "no"), ("Wet?", "water", "yes"))
    found = found_by("contradiction", numbered_tasks(*rows, classification=True))
    assert list(found.task_ids) == [1, 3, 4]
    assert list(found.instance_ids) == [101, 103, 104]
    assert [each.other for each in found.examples] == [3, 1, 3]
    assert len(found_by("contradiction", numbered_tasks(*rows))) == 0


def test_instances_of_one_task_contradict_too() -> None:
    task = LintTask(5, "Wet?", True, (LintInstance(1, "", "yes"), LintInstance(2, "", "no")))
    assert list(found_by("contradiction", [task]).instance_ids) == [1, 2]
    another = LintTask(5, "Wet?", True, (LintInstance(1, "", "yes", "Say yes."), LintInstance(2, "", "no")))
    assert len(found_by("contradiction", [another])) == 0, "with another system turn it is another question"


def test_instances_of_translations_may_be_in_any_language_but_not_of_others() -> None:
    german = "Ich bin im Garten und lese das Buch, das du mir gegeben hast."
    rows: tuple[tuple[str, str, str] | str, ...] = (
        *ENGLISH,
        ("Translate into German.", "I am in the garden.", german),
        ("Describe the garden and what is in it.", "", german),
    )
    found = found_by("language", numbered_tasks(*rows))
    assert list(found.instance_ids) == [107]


def test_a_pool_without_a_language_of_its_own_has_no_foreign_text() -> None:
    assert len(found_by("language", numbered_tasks(*ENGLISH[:2], FOREIGN[0], FOREIGN[1]))) == 0
    assert found_by("language", numbered_tasks(*FOREIGN[:1] * 5, ENGLISH[0])).tasks == [6]


def test_contamination_says_which_instance_and_what(evaluation: Path) -> None:
    found = found_by("contamination", numbered_tasks(*OVERLAPPING[:3]), against=(evaluation,))
    assert list(found.task_ids) == [1, 2, 2, 3]
    assert list(found.instance_ids) == [0, 0, 0, 103]
    assert "ROUGE-L 0.88" in found.examples[0].words
    strict = found_by("contamination", numbered_tasks(*OVERLAPPING[:1]), against=(evaluation,), overlap=0.9)
    assert len(strict) == 0


def test_a_file_to_compare_with_that_is_missing_or_empty_is_an_error(tmp_path: Path) -> None:
    for name in ("missing.jsonl", "empty.jsonl"):
        if name == "empty.jsonl":
            (tmp_path / name).write_text("")
        with pytest.raises(UsageError):
            found_by("contamination", numbered_tasks("Name a fruit."), against=(tmp_path / name,))


def test_progress_ends_where_it_said() -> None:
    seen: list[tuple[int, int]] = []
    found_by(
        "near-duplicate", numbered_tasks(*(f"Task number {i} of many" for i in range(300))), progress=lambda _, *pair: seen.append(pair)
    )
    assert seen == [(200, 600), (400, 600), (600, 600)]


def test_what_progress_raises_ends_the_work() -> None:
    def stop(_what: str, _done: int, _steps: int) -> None:
        raise StudioError("stop")

    with pytest.raises(StudioError, match="stop"):
        found_by("language", numbered_tasks(*(f"Task number {i} of many" for i in range(300))), progress=stop)


def test_sound_tasks_that_people_wrote_are_hardly_ever_reported() -> None:
    """The bundled seeds: of each lint one task in a hundred at most."""
    seeds = read_tasks(bundled_seeds())
    tasks = [
        LintTask(
            number,
            seed.instruction,
            seed.is_classification,
            tuple(LintInstance(1000 * number + place, each.input, each.output) for place, each in enumerate(seed.instances)),
        )
        for number, seed in enumerate(seeds, 1)
    ]
    for code, lint in LINTS.items():
        if not lint.needs_file:
            assert len(found_by(code, tasks).tasks) <= len(tasks) / 100, code


CHECKS = [code for code, lint in LINTS.items() if lint.check is not None]


def reported(code: str, row: Row) -> bool:
    """Whether the lint reports the task of a row; each finding must name the task and words of it."""
    check = LINTS[code].check
    assert check is not None
    instruction, given, answer = row
    findings = list(check(LintTask(7, instruction, False, (LintInstance(9, given, answer),))))
    for finding in findings:
        assert finding.task_id == 7
        assert finding.instance_id in (None, 9)
        assert finding.words.rstrip("…") in f"{instruction}\n{given}\n{answer}"
    return bool(findings)


def test_what_was_said_around_an_exchange_is_looked_at_too() -> None:
    check = LINTS["email"].check
    assert check is not None
    instance = LintInstance(9, "", "Yes.", "I am a@b.org.", (Turn("user", "And?"), Turn("assistant", "Write to c@d.org.")))
    found = [(each.instance_id, each.part, each.words) for each in check(LintTask(7, "Ask.", False, (instance,)))]
    assert found == [(9, Part.SYSTEM, "a@b.org"), (9, Part.TURN, "c@d.org")]


def test_every_lint_of_single_tasks_has_a_table() -> None:
    assert set(FAULTY) == set(SOUND) == set(CHECKS)


@pytest.mark.parametrize("code", CHECKS)
def test_the_figures_in_the_help_are_those_of_the_table(code: str) -> None:
    faulty = [reported(code, row) for row in FAULTY[code]]
    sound = [reported(code, row) for row in SOUND[code]]
    assert Measured(sum(faulty), len(faulty), sum(sound), len(sound)) == LINTS[code].measured


@pytest.mark.parametrize("code", CHECKS)
def test_no_lint_reports_an_empty_task(code: str) -> None:
    assert not reported(code, ("", "", ""))


@pytest.mark.parametrize(
    "piece", ["“", "'", '"', " ", "\n", "[your ", "a@a.", "1 ", "the following ", "I am ", "password is ", "this text "]
)
def test_the_time_grows_with_a_text_of_one_piece_and_not_with_its_square(piece: str) -> None:
    def seconds(times: int) -> float:
        text = piece * times
        begun = time.process_time()
        for code in CHECKS:
            for row in ((text, "", "no"), ("Summarise the following text", text, text), ("Name it", "", f"I'm sorry{text}")):
                reported(code, row)
        return time.process_time() - begun

    # Ten times as long: ten times the work, with room for what else a machine does, where the square would be a hundred times.
    assert seconds(20_000) < 30 * seconds(2_000) + 0.1
