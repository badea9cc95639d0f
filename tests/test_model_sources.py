# -*- coding: utf-8 -*-
"""What is to be loaded, and where it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from local_llm.errors import WeightsError
from local_llm.library_defaults import DEFAULT_QUANTIZATION
from local_llm.model_sources import LoadRequest, resolve

REQUEST = LoadRequest("owner/model", cache=Path("cache"), device="cpu")


def silent(_: str) -> None:
    """For who does not want to know the progress."""


def test_the_default_is_nf4_with_double_quantization() -> None:
    assert REQUEST.quantization_arguments() == {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
    }


def test_an_empty_quantization_is_none() -> None:
    assert replace(REQUEST, quantization={}).quantization_arguments() == {}


def test_what_changes_the_weights_or_their_use_changes_the_key() -> None:
    keys = {
        REQUEST.key(),
        replace(REQUEST, source="owner/other").key(),
        replace(REQUEST, revision="v1").key(),
        replace(REQUEST, tokenizer="/somewhere").key(),
        replace(REQUEST, quantization={}).key(),
        replace(REQUEST, fast_head=False).key(),
        replace(REQUEST, cuda_graphs=True).key(),
    }
    assert len(keys) == 7


def test_token_cache_and_the_default_written_out_do_not() -> None:
    written_out = dict(DEFAULT_QUANTIZATION)
    for same in (
        replace(REQUEST, token="hf_x"),
        replace(REQUEST, cache=Path("elsewhere")),
        replace(REQUEST, quantization=written_out),
    ):
        assert same.key() == REQUEST.key()


def test_the_token_is_not_shown() -> None:
    assert "hf_secret" not in repr(replace(REQUEST, token="hf_secret"))


def test_an_unknown_embedded_model_is_refused_with_the_known_one() -> None:
    with pytest.raises(WeightsError) as caught:
        resolve(replace(REQUEST, source="embedded:gemma-9"), silent)
    assert "'gemma-9'" in caught.value.message
    assert "embedded:gemma-3-270m" in str(caught.value)


def test_a_local_folder_resolves_to_itself(tiny_folder: Path) -> None:
    request = replace(REQUEST, source=str(tiny_folder))
    assert resolve(request, silent) == str(tiny_folder)
