# -*- coding: utf-8 -*-
"""A local model that is loaded and asked."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_agents import local_model, write_rows
from tiny_models import gemma, make_tokenizer, save_model

from local_llm import loaded_model
from local_llm.adapter_files import ADAPTER_FILE, BASE_FILE
from local_llm.errors import (
    ConfigError,
    GenerationError,
    ModelAccessError,
    WeightsError,
)
from local_llm.local_model import LocalModel
from local_llm.reports import read_report
from local_llm.turns import Turn

QUESTION = "Question 3?"


def loaded(project: Path, **changes: Any) -> LocalModel:
    """The project's model with its weights, not fine-tuned."""
    model = local_model(project, **changes)
    model.load_model()
    return model


def said(model: LocalModel, question: str = QUESTION) -> str:
    """What the model replies."""
    return model.reply(question).text


@pytest.fixture(scope="module")
def finished(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A project with a finished run; to be copied, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_folder, folder / "model")
    write_rows(folder / "data.json")
    model = loaded(folder)
    model.fine_tune(model.read_data())
    return folder


@pytest.fixture
def with_run(finished: Path, tmp_path: Path) -> Path:
    """A project of its own with a finished run."""
    return shutil.copytree(finished, tmp_path / "with run")


# -- loading -----------------------------------------------------------------


def test_nothing_is_loaded_before_it_is_asked_for(project):
    with pytest.raises(WeightsError, match="no model is loaded"):
        _ = local_model(project).base


def test_two_models_of_one_source_share_their_weights(project):
    assert loaded(project).base is loaded(project).base


def test_a_failed_load_leaves_the_model_before_answering(project):
    model = loaded(project)
    base, before = model.base, said(model)
    with pytest.raises(WeightsError, match="does not exist"):
        model.load_model(local_model_path="nowhere")
    assert model.base is base
    assert said(model) == before


def test_another_model_can_be_loaded_and_then_the_configured_one_again(
    project,
):
    save_model(project / "other", gemma(seed=5))
    model = loaded(project)
    first = said(model)
    model.load_model(local_model_path="other")
    assert model.base.name == str(project / "other")
    assert said(model) != first
    model.load_model()
    assert model.base.name == str(project / "model")
    assert said(model) == first


def test_loading_again_gives_the_untuned_model(project):
    model = loaded(project)
    before = said(model)
    model.fine_tune(model.read_data())
    assert model.is_fine_tuned and said(model) != before
    model.load_model()
    assert not model.is_fine_tuned and model.report is None
    assert said(model) == before


def test_the_settings_of_the_weights_are_those_below_a_named_adapter(
    with_run,
):
    plain = local_model(with_run)
    assert plain.base_settings() == plain.settings
    named = local_model(with_run, local_model_path="run").base_settings()
    assert named.local_model_path is None
    # The run was made in the folder that this one is a copy of.
    assert Path(str(named.pretrained_model_name_or_path)).name == "model"
    assert named.fine_tune_config == plain.settings.fine_tune_config


@pytest.mark.parametrize("path", ["model", "run"])
def test_two_named_models_are_a_contradiction(with_run, path):
    with pytest.raises(ConfigError, match="both given"):
        loaded(with_run).load_model("google/gemma-7b", path)


def test_the_revision_of_the_config_is_not_another_models(
    project,
    monkeypatch,
):
    asked = []
    model = local_model(
        project,
        local_model_path=None,
        pretrained_model_name_or_path="google/gemma-7b",
        revision="v1",
    )

    def refuse(request, progress):
        asked.append((request.source, request.revision))
        raise WeightsError("stop here")

    monkeypatch.setattr(loaded_model, "load_base_model", refuse)
    for name in (None, "google/gemma-2b"):
        with pytest.raises(WeightsError):
            model.load_model(name)
    assert asked == [("google/gemma-7b", "v1"), ("google/gemma-2b", None)]


def test_a_tokenizer_larger_than_the_embedding_is_refused(project):
    large = make_tokenizer(unflagged=tuple(f"<extra_{i}>" for i in range(99)))
    large.save_pretrained(project / "large")
    model = loaded(project)
    tokenizer, before = model.base.tokenizer, said(model)
    with pytest.raises(WeightsError, match="its weights only 352"):
        model.load_tokenizer(local_tokenizer_path="large")
    assert model.base.tokenizer is tokenizer
    assert said(model) == before


def test_another_tokenizer_serves_the_loaded_weights(project):
    make_tokenizer(unflagged=()).save_pretrained(project / "other")
    model = loaded(project)
    base = model.base
    model.load_tokenizer(local_tokenizer_path="other")
    assert model.base is base
    assert model.base.tokenizer.name_or_path == str(project / "other")
    model.load_tokenizer()
    assert model.base.tokenizer.name_or_path == str(project / "model")


# -- an adapter named in the settings ------------------------------------------


def test_an_adapter_in_the_settings_comes_on_the_base_it_was_made_on(with_run):
    other = loaded(with_run)
    other.load_adapter(with_run / "run")
    model = loaded(with_run, local_model_path="run")
    assert model.is_fine_tuned
    assert model.report == read_report(with_run / "run")
    assert said(model) == said(other)


def test_an_adapter_of_others_names_its_base_in_its_own_config(with_run):
    folder = with_run / "run"
    expected = said(loaded(with_run, local_model_path="run"))
    theirs = with_run / "theirs"
    theirs.mkdir()
    shutil.copy(folder / ADAPTER_FILE, theirs)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "model"
    (theirs / "adapter_config.json").write_text(json.dumps(config))
    model = loaded(with_run, local_model_path="theirs")
    assert model.base.name == str(with_run / "model")
    assert model.report is None
    assert said(model) == expected


def test_loading_without_arguments_brings_the_named_adapter_again(with_run):
    model = loaded(with_run, local_model_path="run")
    expected = said(model)
    model.load_model(local_model_path="model")
    assert not model.is_fine_tuned
    model.load_model()
    assert model.is_fine_tuned and said(model) == expected


def test_an_adapter_whose_base_is_gone_says_so(with_run):
    record = with_run / "run" / BASE_FILE
    values = json.loads(record.read_text())
    theirs = with_run / "theirs"
    shutil.copytree(with_run / "run", theirs)
    (theirs / "manifest.json").unlink()
    gone = str(with_run / "gone")
    (theirs / BASE_FILE).write_text(json.dumps({**values, "name": gone}))
    with pytest.raises((WeightsError, ModelAccessError), match="gone"):
        loaded(with_run, local_model_path="theirs")


# -- asking --------------------------------------------------------------------------


def test_the_counted_tokens_are_those_of_the_prompt(project):
    model = loaded(project)
    turns = [Turn("system", "Be brief."), Turn("user", QUESTION)]
    request = model.request(turns, lambda delivery: None)
    assert model.count_tokens(turns) == len(request.prompt_ids)
    assert model.base.tokenizer.decode(request.prompt_ids) == (
        "<bos><start_of_turn>user\nBe brief.\n\nQuestion 3?<end_of_turn>\n"
        "<start_of_turn>model\n"
    )


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(project):
    model = loaded(project, context_size=40)
    with pytest.raises(GenerationError) as caught:
        model.request([Turn("user", "word " * 50)], lambda delivery: None)
    tokens = model.count_tokens([Turn("user", "word " * 50)])
    assert f"has {tokens} tokens, the context only 40" in str(caught.value)


def test_a_reply_ends_where_the_context_does(project):
    model = loaded(project, context_size=48, max_length=40)
    turns = [Turn("user", "What is the capital of France?")]
    request = model.request(turns, lambda delivery: None)
    assert request.max_new_tokens == 48 - len(request.prompt_ids) < 40


def test_a_request_follows_the_grammar_that_it_is_asked_with(project):
    model = loaded(project)
    turns = [Turn("user", QUESTION)]
    grammar = "start: /a/"
    asked = model.request(turns, lambda delivery: None, grammar=grammar)
    assert asked.grammar == grammar
    assert model.request(turns, lambda delivery: None).grammar is None
