"""What the text alone tells of a request and of an answer: in English, and in languages that share its short words."""

from __future__ import annotations

import pytest

from studio.loop.checks import ANSWER_RULES, answer_fault, is_letter, is_unended, no_request
from studio.records import Instance
from support.sessions import all_seeds

IN_OTHER_LANGUAGES = (
    "Schreibe eine kurze Geschichte in drei Sätzen",
    "An einem Beispiel erkläre den Satz des Pythagoras.",
    "All diese Zahlen addieren und das Ergebnis nennen: 3, 4, 5.",
    "Her mit drei Ideen für ein Abendessen ohne Fleisch",
    "A quoi sert un compilateur",
    "On me demande de résumer la Révolution française en deux phrases",
    'I sinonimi di "felice": elencane cinque.',
    "A partire da questi ingredienti proponi una ricetta.",
    "Escribe a mi jefe un correo breve para pedir vacaciones",
    "A partir de una lista de números calcula la media.",
    "Schrijf in het Nederlands een verhaal over een kat",
    "Skriv i tre meninger om klimaendringer",
    "Napisz do mnie list o wakacjach i pogodzie",
    "İki cümlede on numaralı problemi çöz",
    "Scrie o poveste scurta in trei propozitii",
    "Noem drie dieren in Afrika",
    "Geef me een voorbeeld van a in a",
    "Nevezz meg harom allatot a vilagban",
    "Dai a me un esempio",
    "Czy to my",
    "Buatlah daftar lima kota besar di Indonesia",
    "Andika hadithi fupi kuhusu mvua",
    "写一个关于春天的短故事",
    "Что такое фотосинтез",
)


@pytest.mark.parametrize("text", IN_OTHER_LANGUAGES)
def test_rules_that_know_english_alone_pass_other_languages(text: str) -> None:
    assert not (no_request(text) or is_letter(text) or is_unended(text))
    assert not ANSWER_RULES["breaks_off"][0]("", Instance("", text))


@pytest.mark.parametrize(
    "text",
    ["The old café is closed.", "A life without music is a mistake.", "Life begins.", "I love Zürich, and my dog."],
)
def test_english_statements_are_no_requests(text: str) -> None:
    assert no_request(text)


@pytest.mark.parametrize("text", ["Write a letter to the mayor of São Paulo and", "Explain how a lock works in", "Tell me the"])
def test_english_that_breaks_off(text: str) -> None:
    assert is_unended(text) and ANSWER_RULES["breaks_off"][0]("", Instance("", text))


@pytest.mark.parametrize("rule", ANSWER_RULES)
def test_hardly_a_good_answer_of_whatever_kind_breaks_a_rule(rule: str) -> None:
    """The seeds' outputs are prose, lists, tables, code, letters, verse and labels."""
    seeds = [(seed, instance) for seed in all_seeds() for instance in seed.instances]
    struck = [
        seed.name for seed, instance in seeds if answer_fault(seed.instruction, instance, [rule], is_label=bool(seed.is_classification))
    ]
    assert len(struck) <= 0.02 * len(seeds), struck


LOOP = "A sidecar is a great idea for a ride. You can take a vintage car, a vintage car, and it's a great idea.\n\n"
LONG = (
    "Swifts sleep on the wing, which was proved for the first time in 1952, when a pilot flew through a sleeping flock with his engine "
    "turned off. Rings had told of long journeys before, and clocks that weigh less than a gram now show every beat: one bird stayed "
    "up for ten months, came down to nest, and slept in a hole for the first time in its life."
)
CODE = "```python\ndef largest(numbers):\n    return max(numbers)\n"


@pytest.mark.parametrize(
    ("rule", "text", "faulty"),
    [
        ("answer_list", "1. Enhanced security: digital wallets encrypt what they send.", True),
        ("answer_list", "* A VPN hides your address.", True),
        ("answer_list", "1. Greece\n2. Italy\n3. Spain", False),
        ("answer_list", "| a | b |\n|---|---|\n| 1 | 2 |", False),
        ("answer_list", CODE, True),
        ("answer_list", f"Here it is:\n{CODE}", True),
        ("answer_list", f"{CODE}```", False),
        ("breaks_off", "Here are three ways to do it:", True),
        ("breaks_off", "Plants take up light with their leaves.\n\nThe water that they need for it comes from", True),
        ("breaks_off", "Thank you for your letter, it was good of you.\n\nYours faithfully,\nCustomer Service", False),
        (
            "breaks_off",
            "These are wrong in the text.\n1. hole → the whole of it, in the first line\n2. their → there, in the second of them",
            False,
        ),
        ("loops", LOOP * 2, True),
        ("loops", LONG, False),
        ("repeats_instruction", "Say in a few words what a lock is for", True),
    ],
)
def test_what_is_wrong_with_an_answer(rule: str, text: str, faulty: bool) -> None:
    assert ANSWER_RULES[rule][0]("Say in a few words what a lock is for.", Instance("", text)) is faulty


def test_a_corrected_input_is_no_repetition_and_a_copied_one_is() -> None:
    given = "The treasurer reports a balance and suggest a bake sale, and the group agree to decide by email on the next day."
    corrected = given.replace("reports", "reported").replace("suggest", "suggested").replace("agree", "agreed")
    rule, _ = ANSWER_RULES["repeats_instruction"]
    assert not rule("Put it into the past tense.", Instance(given, corrected))
    assert rule("Put it into the past tense.", Instance(given, given))


def test_a_label_that_the_instruction_names_repeats_nothing() -> None:
    asked, label = "Is this O(1), O(log n) or O(n log n)?", Instance("for ...", "O(n log n)")
    assert answer_fault(asked, label, ["repeats_instruction"]) == "repeats_instruction"
    assert answer_fault(asked, label, ["repeats_instruction"], is_label=True) == ""
