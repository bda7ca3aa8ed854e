"""File, environment and flags, each stronger than the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.config import read_text
from studio.errors import UsageError
from studio.loop.runs import known_keys, load_configuration
from studio.loop.settings import profile
from support.sessions import configuration


def test_defaults() -> None:
    loaded = load_configuration(None, {}, {})
    assert loaded.options.gpu_layers == -1
    assert loaded.method() == profile("studio")


def test_the_order_of_strength(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('profile = "paper"\nthreshold = 0.5\nmax_words = 99\n[sampling.instructions]\ntemperature = 0.1\ntop_p = 0.9\n')
    environment = {"STUDIO_THRESHOLD": "0.6", "STUDIO_SAMPLING__INSTRUCTIONS__TEMPERATURE": "0.2", "STUDIO_TARGET": "9"}
    loaded = load_configuration(file, environment, {"target": 10}, ("sampling.instructions.temperature=0.3",))
    method = loaded.method()
    assert loaded.options.target == 10
    assert (method.profile, method.threshold, method.max_words) == ("paper", 0.6, 99)
    assert (method.sampling.instructions.temperature, method.sampling.instructions.top_p) == (0.3, 0.9)
    assert method.sampling.instructions.stop == profile("paper").sampling.instructions.stop


def test_lists_and_texts_from_the_environment() -> None:
    assert load_configuration(None, {"STUDIO_BLOCKED_WORDS": '["foo"]', "STUDIO_SEED": "1"}, {}).method().blocked_words == ("foo",)
    assert load_configuration(None, {"STUDIO_SEED": "1", "STUDIO_TOKENIZER": "ascii"}, {}).options.seed == "1"


@pytest.mark.parametrize("key", [key for key in known_keys() if not key.startswith("prompts.")])
def test_every_parameter_can_be_set_from_the_environment(key: str) -> None:
    """A value of the wrong kind is refused by the parameter itself, so the variable has reached it."""
    name = "STUDIO_" + key.upper().replace(".", "__")
    if key == "brief":
        assert load_configuration(None, {name: "x"}, {}).method().brief == "x"
        return
    if key == "models.answer":
        assert load_configuration(None, {name: "x"}, {}).options.models.answer == "x"
        return
    if key in ("model", "adapter", "seed", "profile"):
        assert getattr(load_configuration(None, {name: "x"}, {}).options, key) == "x"
        return
    with pytest.raises(UsageError, match=key.replace(".", r"\.")):
        load_configuration(None, {name: "[[[nonsense"}, {}).method()


def test_a_prompt_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Is it? {instruction}\n")
    file = tmp_path / "run.toml"
    file.write_text('[prompts]\nclassification = "mine.txt"\n')
    assert load_configuration(file, {}, {}).method().prompts.classification == "Is it? {instruction}\n"


def test_the_pool_s_own_parameters_stay_under_what_is_asked_for() -> None:
    stored = profile("studio").model_copy(update={"max_words": 77})
    assert load_configuration(None, {}, {}).method(stored) == stored
    assert load_configuration(None, {}, {"profile": "studio"}).method(stored) == stored
    assert load_configuration(None, {}, {"profile": "code"}).method(stored) == profile("code")


def test_variables_of_others_are_passed_over() -> None:
    assert load_configuration(None, {"STUDIO_JDK": "/opt/jdk", "STUDIO_MODELS": "/m"}, {}).method() == profile("studio")


@pytest.mark.parametrize(
    ("assignments", "message", "hint"),
    [
        (("threshold",), "KEY=VALUE", "threshold=0.6"),
        (("treshold=0.6",), "there is no setting 'treshold'", "'threshold'"),
        (("threshold=2",), "threshold = 2", ""),
        (("threshold=high",), "threshold = 'high'", ""),
        (("sampling.instructions.temperature=-1",), "sampling.instructions.temperature = -1", ""),
        (("filters=['lenght']",), "there is no setting 'lenght'", "'length'"),
        (("prompts.classification=/no/such/file",), "cannot read the prompt", ""),
        (("prompts.classification=",), "prompts.classification takes the path of a text file, and is empty", "built-in"),
        (("prompts.classification=/",), "/ is a folder", "the file in it"),
        (("min_agreement=0.4",), "with best_of 1 there are none", "best_of to 2"),
        (("best_of=1", "min_agreement=0.4"), "with best_of 1 there are none", "best_of to 2"),
    ],
)
def test_what_does_not_fit_is_named(assignments: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_configuration(None, {}, {}, assignments).method()
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_pool_whose_parameters_have_no_effect_goes_on() -> None:
    stored = configuration(best_of=2, min_agreement=0.4).method().model_copy(update={"best_of": 1})
    assert configuration().method(stored) == stored
    with pytest.raises(UsageError, match="with best_of 1"):
        configuration(min_agreement=0.5).method(stored)


@pytest.mark.parametrize("text", ["threshold = ", "\xff", "wrong_name = 1\n"])
def test_broken_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"broken\.toml"):
        load_configuration(file, {}, {})
    with pytest.raises(UsageError, match=r"missing\.toml"):
        load_configuration(tmp_path / "missing.toml", {}, {})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_line_ends_are_no_part_of_a_text(tmp_path: Path, encoding: str, end: str) -> None:
    config, prompt = tmp_path / "run.toml", tmp_path / "mine.txt"
    config.write_bytes(f'threshold = 0.6{end}[prompts]{end}classification = "mine.txt"{end}'.encode(encoding))
    prompt.write_bytes(f"Ist es é?{end}{{instruction}}{end}".encode(encoding))
    method = load_configuration(config, {}, {}).method()
    assert (method.threshold, method.prompts.classification) == (0.6, "Ist es é?\n{instruction}\n")


@pytest.mark.parametrize(
    ("encoding", "name", "hint"),
    [
        ("utf-16", "UTF-16", "iconv -f UTF-16 "),
        ("utf-16-le", "UTF-16", "iconv -f UTF-16LE"),
        ("utf-16-be", "UTF-16", "iconv -f UTF-16BE"),
        ("cp1252", "not UTF-8: byte 0xE9 on line 2", "iconv -f WINDOWS-1252"),
    ],
)
def test_another_encoding_is_named_with_the_way_out(tmp_path: Path, encoding: str, name: str, hint: str) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes('threshold = 0.6\nseed = "é"\n'.encode(encoding))
    for assignments, path in (((), file), ((f"prompts.classification={file}",), None)):
        with pytest.raises(UsageError, match=name) as raised:
            load_configuration(path, {}, {}, assignments)
        assert hint in raised.value.hint


def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match="the settings /dev/zero is longer than 64 MiB"):
        read_text(Path("/dev/zero"), "the settings")
