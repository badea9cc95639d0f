# -*- coding: utf-8 -*-
"""Weights come from the files of a model, whole; test_base_model.py has more
of what is refused."""

from pathlib import Path

import pytest
import torch
from tiny_models import change_config, gemma, request_for, save_model

from local_llm import model_weights, quantized_copies
from local_llm.errors import ConfigError, ModelAccessError, WeightsError
from local_llm.model_sources import LoadRequest
from local_llm.model_weights import load_weights, translated_load_errors


def silent(text: str) -> None:
    """For who does not want to know the progress."""


def test_the_number_format_is_the_one_asked_for(tiny_folder: Path) -> None:
    request = request_for(tiny_folder, dtype="float16")
    model = load_weights(request, str(tiny_folder), silent)
    assert model.dtype == torch.float16
    assert model.model.layers[0].mlp.up_proj.compute_dtype == torch.float16
    assert not model.training


def test_files_that_change_while_they_are_read_leave_no_copy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantized_copies, "LEAST_BYTES", 1)
    folder = save_model(tmp_path / "model", gemma())
    read = model_weights._from_source

    def changed_meanwhile(*arguments):
        model = read(*arguments)
        change_config(folder, note="something else")
        return model

    monkeypatch.setattr(model_weights, "_from_source", changed_meanwhile)
    load_weights(request_for(folder), str(folder), silent)
    assert list((tmp_path / "cache").glob("4bit-*")) == []


def test_what_a_loader_raises_becomes_one_kind_of_error(
    tmp_path: Path,
) -> None:
    request = request_for(tmp_path)
    with (
        pytest.raises(WeightsError) as caught,
        translated_load_errors(request),
    ):
        raise KeyError("lm_head")
    assert f"{tmp_path} cannot be loaded: KeyError" in caught.value.message
    with (
        pytest.raises(WeightsError, match="does not fit into memory") as full,
        translated_load_errors(request),
    ):
        raise MemoryError("16 GiB")
    assert "4-bit" in str(full.value.fix)


def test_an_error_of_this_package_stays_as_it_is(tmp_path: Path) -> None:
    error = ConfigError("device", ["none"])
    with (
        pytest.raises(ConfigError) as caught,
        translated_load_errors(request_for(tmp_path)),
    ):
        raise error
    assert caught.value is error


def test_a_refusal_of_the_hub_is_told_as_one(tmp_path: Path) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    request = LoadRequest("owner/model", cache=tmp_path)
    with pytest.raises(ModelAccessError), translated_load_errors(request):
        raise LocalEntryNotFoundError("offline")
