# -*- coding: utf-8 -*-
"""The cards say of the models what the config says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_agents import entry
from tiny_models import THINKING

from local_llm.model_cards import (
    MODEL_CONFIGS,
    ModelFacts,
    card_text,
    card_values,
    cards_folder,
    facts_of,
    label_of,
    main,
)
from local_llm.settings import load_all_settings, parse_settings
from local_llm.surroundings import Surroundings

COMMITTED = sorted(cards_folder(MODEL_CONFIGS).glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# -- the committed ones ----------------------------------------------------


def test_every_local_entry_has_a_card_and_no_other_has_one() -> None:
    entries = load_all_settings(MODEL_CONFIGS)
    assert {path.stem for path in COMMITTED} == entries.keys()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_card_is_the_one_that_would_be_written(path) -> None:
    settings = load_all_settings(MODEL_CONFIGS)[path.stem]
    values = card_values(settings, ModelFacts(read(path)["context_size"]))
    assert path.read_text(encoding="utf-8") == card_text(values)


def test_the_contexts_are_those_that_the_models_were_published_with() -> None:
    sizes = {path.stem: read(path)["context_size"] for path in COMMITTED}
    assert sizes == {"embedded": 32768, "gemma-7b-lima": 8192}


# -- what stands on a card -------------------------------------------------


def settings_with(**changes: Any):
    return parse_settings(entry(**changes), "the test")


def test_a_greedy_entry_shows_no_parameter_that_makes_it_draw() -> None:
    values = card_values(settings_with(max_length=7), ModelFacts(512))
    assert values["parameter_overrides"] == {
        "max_tokens": {"default": 7},
        "do_sample": {"default": False},
        "repetition_penalty": {"default": 1.0},
        "stop": {"hidden": True},
        "grammar": {"hidden": True},
    }


def test_an_entry_that_draws_shows_how() -> None:
    drawing = {"do_sample": True, "temperature": 0.5, "top_k": 9}
    values = card_values(settings_with(generation=drawing), ModelFacts(512))
    shown = values["parameter_overrides"]
    assert shown["temperature"] == {"default": 0.5}
    assert shown["top_k"] == {"default": 9}
    assert shown["top_p"] == {"default": 1.0}


@pytest.mark.parametrize(
    ("named", "label"),
    [
        ({"local_model_path": "a/model"}, "model (x)"),
        (
            {
                "local_model_path": None,
                "pretrained_model_name_or_path": "google/gemma-7b",
            },
            "gemma-7b (x)",
        ),
        (
            {
                "local_model_path": None,
                "pretrained_model_name_or_path": "embedded:gemma-3-270m",
            },
            "gemma-3-270m (x)",
        ),
    ],
)
def test_people_see_the_weights_and_what_is_special(named, label) -> None:
    assert label_of(settings_with(**named), "x") == label


# -- writing them ----------------------------------------------------------


def write_config(project: Path, **changes: Any) -> Path:
    path = project / "configs" / "model_configs.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([entry(**changes)]))
    return path


def test_the_command_writes_a_card_for_each_entry(project, capsys) -> None:
    path = write_config(project)
    assert main(["--model-configs", str(path)]) == 0
    card = path.parent / "model_cards" / "tiny.yaml"
    assert capsys.readouterr().out.strip() == str(card)
    assert (read(card)["name"], read(card)["context_size"]) == ("tiny", 512)


def test_the_context_is_the_entrys_where_that_is_smaller(project) -> None:
    surroundings = Surroundings(project, project / "cache")
    for wanted, size in ((100, 100), (4096, 512)):
        settings = settings_with(context_size=wanted)
        assert facts_of(settings, surroundings) == ModelFacts(size)


def test_a_model_that_is_gone_keeps_the_context_of_its_card(project) -> None:
    path = write_config(project)
    main(["--model-configs", str(path)])
    gone = write_config(project, local_model_path="gone", max_length=3)
    main(["--model-configs", str(gone)])
    card = read(path.parent / "model_cards" / "tiny.yaml")
    assert card["context_size"] == 512
    assert card["parameter_overrides"]["max_tokens"] == {"default": 3}


def test_a_model_that_thinks_keeps_that_on_its_card(project) -> None:
    template = project / "model" / "chat_template.jinja"
    template.write_text(THINKING)
    for place in ("model", "gone"):
        path = write_config(project, local_model_path=place)
        assert main(["--model-configs", str(path)]) == 0
        card = read(path.parent / "model_cards" / "tiny.yaml")
        assert card["output_types"] == ["text/plain", "application/x-thinking"]


@pytest.mark.parametrize("card", [None, "[]", "{", "label: none"])
def test_a_model_that_is_gone_and_has_no_card_is_told(
    project,
    capsys,
    card,
) -> None:
    path = write_config(project, local_model_path="gone")
    if card:
        (path.parent / "model_cards").mkdir()
        (path.parent / "model_cards" / "tiny.yaml").write_text(card)
    assert main(["--model-configs", str(path)]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{project / 'gone'}" in shown.err and "fix: " in shown.err


@pytest.mark.parametrize("text", [None, "[", "[]"])
def test_a_config_that_cannot_be_read_is_told(tmp_path, capsys, text) -> None:
    path = tmp_path / "mine.json"
    if text:
        path.write_text(text)
    assert main(["--model-configs", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_where_cards_cannot_be_written_that_is_told(project, capsys) -> None:
    path = write_config(project)
    (path.parent / "model_cards").write_text("in the way")
    assert main(["--model-configs", str(path)]) == 2
    assert "cards cannot be written" in capsys.readouterr().err
