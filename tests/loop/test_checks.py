"""What the text alone tells of a request and of an answer: in English, and in languages that share its short words."""

from __future__ import annotations

import pytest

from studio.loop.checks import ANSWER_RULES, is_letter, is_unended, no_request
from studio.records import Instance

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
    "写一个关于春天的短故事",
    "Что такое фотосинтез",
)


@pytest.mark.parametrize("text", IN_OTHER_LANGUAGES)
def test_rules_that_know_english_alone_pass_other_languages(text: str) -> None:
    assert not (no_request(text) or is_letter(text) or is_unended(text))
    assert not ANSWER_RULES["breaks_off"]("", Instance("", text))


@pytest.mark.parametrize(
    "text",
    ["The old café is closed.", "A life without music is a mistake.", "Life begins.", "I love Zürich, and my dog."],
)
def test_english_statements_are_no_requests(text: str) -> None:
    assert no_request(text)


@pytest.mark.parametrize("text", ["Write a letter to the mayor of São Paulo and", "Explain how a lock works in", "Tell me the"])
def test_english_that_breaks_off(text: str) -> None:
    assert is_unended(text) and ANSWER_RULES["breaks_off"]("", Instance("", text))
