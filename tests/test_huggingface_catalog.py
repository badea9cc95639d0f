# -*- coding: utf-8 -*-
"""The wrapper lists its models as AgentScope wants them, and loads them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agentscope.model import ModelCard
from tiny_agents import answer, entry, tuned_entry, wrapper
from tiny_models import THINKING

from huggingface_catalog import ListedModels
from huggingface_credential import HuggingFaceCredential
from huggingface_model import MODEL_CONFIGS, HuggingFaceWrapper
from local_llm import fine_tuning
from local_llm.model_cards import cards_folder, main

QUESTION = "Question 3?"


@pytest.fixture(autouse=True)
def fixture_own_catalog() -> Iterator[None]:
    """What a test offers is forgotten after it."""
    before = ListedModels._catalog
    ListedModels._catalog = None
    yield
    ListedModels._catalog = before


@pytest.fixture(name="offered")
def fixture_offered(project: Path) -> Path:
    """A project with a run, whose config is the one that is offered."""
    wrapper(project, tuned_entry())
    path = project / "configs" / "model_configs.json"
    path.parent.mkdir()
    other = entry(config_name="other", max_length=3)
    path.write_text(json.dumps([tuned_entry(), other]))
    HuggingFaceWrapper.offer(path)
    return project


def said(model: HuggingFaceWrapper) -> str:
    return asyncio.run(answer(model, QUESTION))


def cards() -> dict[str, ModelCard]:
    return {card.name: card for card in HuggingFaceWrapper.list_models()}


def test_the_cards_of_the_project_are_listed_without_being_asked_for():
    folder = cards_folder(MODEL_CONFIGS)
    assert {path.stem for path in folder.glob("*.yaml")} <= cards().keys()


def test_a_credential_lists_them_as_the_service_asks(offered):
    listed = HuggingFaceCredential.list_models()
    assert [card.name for card in listed] == ["tiny", "other", "run"]
    assert {card.model_class for card in listed} == {"huggingface_chat"}


def test_an_adapters_card_is_its_entrys_under_its_own_name(offered):
    tiny, run = cards()["tiny"], cards()["run"]
    assert (tiny.label, run.label) == ("model (tiny)", "model (run)")
    same = {"name", "label"}
    assert run.model_dump(exclude=same) == tiny.model_dump(exclude=same)


def test_a_card_has_the_parameters_of_the_wrapper(offered):
    schema = cards()["other"].parameter_schema["properties"]
    known = HuggingFaceWrapper.Parameters.model_fields.keys()
    assert schema.keys() == known - {"grammar", "stop", "thinking_enable"}
    assert schema["max_tokens"]["default"] == 3
    assert schema["max_tokens"]["maximum"] == 512


def test_a_model_whose_thinking_can_be_switched_shows_the_switch(offered):
    (offered / "model" / "chat_template.jinja").write_text(THINKING)
    for card in cards().values():
        assert "application/x-thinking" in card.output_types
        assert "thinking_enable" in card.parameter_schema["properties"]


def test_a_context_that_the_config_has_made_smaller_goes_before_a_card(
    project,
):
    path = project / "configs" / "model_configs.json"
    path.parent.mkdir()
    path.write_text(json.dumps([entry()]))
    assert main(["--model-configs", str(path)]) == 0
    for wanted, size in ((60, 60), (4096, 512)):
        path.write_text(json.dumps([entry(context_size=wanted)]))
        HuggingFaceWrapper.offer(path)
        assert cards()["tiny"].context_size == size


def test_a_card_in_the_folder_of_the_config_goes_first(offered):
    folder = offered / "configs" / "model_cards"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(
        "{name: tiny, label: My own, context_size: 99, output_size: 9}",
    )
    assert cards()["tiny"].label == "My own"
    assert cards()["run"].context_size == 99
    assert cards()["other"].context_size == 512


def test_a_folder_of_cards_can_be_listed_instead(tmp_path):
    (tmp_path / "one.yaml").write_text(
        "{name: one, label: One, context_size: 9, output_size: 9}",
    )
    (listed,) = HuggingFaceWrapper.list_models(str(tmp_path))
    assert listed.name == "one"


def test_an_entry_whose_model_is_gone_is_not_listed(project):
    path = project / "configs.json"
    gone = entry(config_name="gone", local_model_path="gone")
    path.write_text(json.dumps([entry(), gone]))
    HuggingFaceWrapper.offer(path)
    assert list(cards()) == ["tiny"]


def test_the_name_on_a_card_loads_its_base_and_its_adapter(
    offered,
    monkeypatch,
):
    monkeypatch.setattr(fine_tuning, "train", None)
    expected = {
        "tiny": said(wrapper(offered)),
        "run": said(wrapper(offered, tuned_entry())),
    }
    assert expected["tiny"] != expected["run"]
    for name, text in expected.items():
        model = HuggingFaceWrapper(model=name)
        assert (model.model, said(model)) == (name, text)


def test_the_service_makes_a_model_with_three_keywords(offered):
    parameters = HuggingFaceWrapper.Parameters(max_tokens=2)
    model = HuggingFaceWrapper(
        credential=HuggingFaceCredential(),
        model="run",
        parameters=parameters,
    )
    assert model.context_size == 512
    assert model.parameters is parameters
    again = HuggingFaceWrapper(model="run")
    assert again.local.base is model.local.base
    assert again.local.adapter == model.local.adapter


def test_a_name_on_no_card_is_a_model_of_the_hub_or_a_folder(offered):
    folder = str(offered / "model")
    model = HuggingFaceWrapper(model=folder)
    assert model.local.base.name == folder
    assert said(model)
