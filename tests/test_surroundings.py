# -*- coding: utf-8 -*-
"""The place a model runs in, and what its settings load there."""

import os
from pathlib import Path

import pytest

from local_llm.errors import ConfigError
from local_llm.settings import FineTuneSettings, ModelSettings
from local_llm.surroundings import (
    Listener,
    Surroundings,
    cache_folder,
    load_request,
)
from local_llm.training_progress import Step


def settings(**values) -> ModelSettings:
    """Settings of a model, with a name."""
    return ModelSettings(config_name="tiny", **values)


@pytest.fixture
def here(tmp_path: Path) -> Surroundings:
    """A place with a token."""
    return Surroundings(tmp_path, tmp_path / "cache", token="hf_secret")


def test_relative_paths_begin_at_the_folder(here, tmp_path):
    assert here.path("runs/one") == tmp_path / "runs" / "one"
    assert here.path("/somewhere") == Path("/somewhere")
    assert here.path_text(None) is None
    assert here.path_text("data") == str(tmp_path / "data")


def test_the_home_folder_is_meant_by_a_tilde(here, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert here.path("~/model") == Path("/home/someone/model")


def test_the_token_is_not_shown(here):
    request = load_request(settings(local_model_path=Path("m")), here)
    assert request.token == "hf_secret"
    assert "hf_secret" not in repr(here) + str(here) + repr(request)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"LOCAL_LLM_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"LOCAL_LLM_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/local_llm"),
        ({}, os.path.expanduser("~/.cache/local_llm")),
        ({"LOCAL_LLM_CACHE": "~/c"}, os.path.expanduser("~/c")),
    ],
)
def test_the_cache_is_where_the_environment_says(environment, folder):
    assert cache_folder(environment) == Path(folder)


def test_a_request_carries_the_settings_with_absolute_paths(here, tmp_path):
    request = load_request(
        settings(
            local_model_path=Path("model"),
            local_tokenizer_path=Path("tokenizer"),
            device="cpu",
            fine_tune_config=FineTuneSettings(
                bnb_config={"load_in_8bit": True},
            ),
        ),
        here,
    )
    assert request.source == str(tmp_path / "model")
    assert request.tokenizer == str(tmp_path / "tokenizer")
    assert request.quantization == {"load_in_8bit": True}
    assert (request.device, request.cache) == ("cpu", tmp_path / "cache")


def test_a_request_says_what_may_be_fast_and_what_kept(here):
    named = {"pretrained_model_name_or_path": "google/gemma-7b"}
    request = load_request(settings(**named), here)
    assert (request.fast_head, request.keep_quantized) == (True, True)
    off = settings(**named, fast_head=False, keep_quantized=False)
    request = load_request(off, here)
    assert (request.fast_head, request.keep_quantized) == (False, False)


def test_steps_are_captured_only_where_that_is_wanted(here):
    named = {"pretrained_model_name_or_path": "google/gemma-7b"}
    assert not load_request(settings(**named), here).cuda_graphs
    wanted = settings(**named, cuda_graphs=True)
    assert load_request(wanted, here).cuda_graphs


def test_a_hub_id_stays_one_unless_a_path_of_that_name_exists(here, tmp_path):
    named = settings(
        pretrained_model_name_or_path="google/gemma-7b",
        revision="main",
    )
    request = load_request(named, here)
    assert (request.source, request.revision) == ("google/gemma-7b", "main")
    (tmp_path / "google" / "gemma-7b").mkdir(parents=True)
    folder = str(tmp_path / "google" / "gemma-7b")
    assert load_request(named, here).source == folder


def test_settings_that_name_no_model_are_refused(here):
    with pytest.raises(ConfigError, match="no model is named"):
        load_request(settings(), here)


def test_a_listener_that_nobody_set_up_hears_and_says_nothing():
    listener = Listener()
    assert listener.on_status("loading") is None
    assert listener.on_step(Step(1, 2, None)) is None
