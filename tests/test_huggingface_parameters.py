# -*- coding: utf-8 -*-
"""How replies are generated can be asked for, within ranges."""

import pytest
from pydantic import ValidationError

from huggingface_parameters import (
    ReplyParameters,
    changed,
    generation_settings,
)
from local_llm.errors import GenerationError
from local_llm.settings import GenerationSettings


def test_a_reply_alone_can_have_other_parameters():
    before = ReplyParameters(max_tokens=5, seed=1)
    after = changed(before, {"seed": 2, "top_k": 3})
    assert after == ReplyParameters(max_tokens=5, seed=2, top_k=3)
    assert before.seed == 1


def test_of_a_value_of_several_types_the_exact_fault_is_told():
    with pytest.raises(GenerationError, match="stop is '': .* 1 character"):
        changed(ReplyParameters(), {"stop": ["a", ""]})


def test_an_unknown_parameter_is_refused_with_the_known_ones():
    with pytest.raises(GenerationError) as caught:
        changed(ReplyParameters(), {"topp": 1, "num_beams": 4})
    assert "unknown generation arguments: num_beams, topp" in str(caught.value)
    assert "top_p" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 0),
        ("temperature", -0.1),
        ("temperature", 2.5),
        ("top_p", 1.5),
        ("top_k", -1),
        ("repetition_penalty", 0.5),
        ("seed", -1),
        ("seed", "x"),
        ("stop", ""),
        ("stop", 3),
        ("thinking_enable", "perhaps"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(GenerationError, match=f"{name} is {value!r}: "):
        changed(ReplyParameters(), {name: value})
    with pytest.raises(ValidationError):
        ReplyParameters(**{name: value})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 5}, {}),
        ({"grammar": "start: /a/"}, {}),
        ({"parallel_tool_calls": False}, {}),
        ({"seed": 3}, {"seed": 3}),
        ({"temperature": 0.5}, {"do_sample": True, "temperature": 0.5}),
        ({"top_k": 0}, {"do_sample": True, "top_k": 0}),
        ({"temperature": 0}, {"do_sample": False}),
        ({"temperature": 0, "top_p": 0.9}, {"do_sample": False, "top_p": 0.9}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["a", "\n"]}, {"stop": ["a", "\n"]}),
        ({"thinking_enable": False}, {"thinking_enable": False}),
        (
            {"temperature": 0.5, "do_sample": False},
            {"do_sample": False, "temperature": 0.5},
        ),
    ],
)
def test_parameters_go_before_the_config_and_may_switch_sampling_on(
    given,
    expected,
):
    default = GenerationSettings(repetition_penalty=1.15)
    settings = generation_settings(ReplyParameters(**given), default)
    wanted = {"repetition_penalty": 1.15, **expected}
    assert settings == GenerationSettings(**wanted)
