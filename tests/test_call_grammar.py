# -*- coding: utf-8 -*-
"""A caller that follows the grammar calls a tool as its schema wants it."""

from collections.abc import Sequence
from typing import Any

import pytest
from call_tools import TOOLS, faults
from random_values import accepts, greedy_text, random_text
from tiny_models import gemma, generate, load_own, save_model

from alpha_umi.call_grammar import (
    arguments_schema,
    call_grammar,
    longest_call_tokens,
)
from alpha_umi.protocol import Call, Tool, read_call
from local_llm.base_model import BaseModel
from local_llm.bounded_schemas import USUAL_LIMITS, SchemaLimits
from local_llm.errors import ConfigError
from local_llm.generation import Sampling

SHORT = SchemaLimits(
    characters=12,
    item_characters=8,
    items=2,
    nested_items=1,
    recursion=1,
)


@pytest.fixture(name="base", scope="module")
def fixture_base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A random model that has room for the longest call."""
    place = tmp_path_factory.mktemp("base")
    folder = save_model(place / "gemma", gemma(max_position_embeddings=8192))
    return load_own(folder, place)


def call(
    base: BaseModel,
    tools: Sequence[Tool],
    limits: SchemaLimits = SHORT,
    **sampling: Any,
) -> str:
    """A call that a model makes, whole."""
    pieces = generate(
        base,
        "Call.",
        grammar=call_grammar(tools, limits),
        max_new_tokens=longest_call_tokens(tools, limits),
        sampling=Sampling(**sampling),
    )
    assert pieces[-1].finish_reason == "stop"
    return "".join(piece.text for piece in pieces)


# -- calls of a model -----------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_call_of_a_tool_fits_its_schema(
    base: BaseModel,
    tool: Tool,
) -> None:
    texts = [call(base, [tool])]
    texts += [
        call(base, [tool], do_sample=True, temperature=3.0, top_k=0, seed=seed)
        for seed in range(6)
    ]
    assert faults(texts, [tool]) == []


def test_among_many_tools_every_call_fits_the_one_it_names(
    base: BaseModel,
) -> None:
    texts = [
        call(base, TOOLS, do_sample=True, temperature=9.0, top_k=0, seed=seed)
        for seed in range(100, 124)
    ]
    assert faults(texts, TOOLS) == []
    assert len({read_call(text).name for text in texts}) > 5


def test_with_room_for_long_arguments_a_call_ends_too(
    base: BaseModel,
) -> None:
    tools = [TOOLS[0]]
    text = call(base, tools, USUAL_LIMITS, repetition_penalty=1.5)
    assert faults([text], tools) == []


# -- calls without a model ------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_calls_drawn_byte_by_byte_fit_and_are_no_longer_than_known(
    tool: Tool,
) -> None:
    grammar = call_grammar([tool])
    texts = [random_text(grammar, seed) for seed in range(12)]
    texts += [greedy_text(grammar, wanted) for wanted in ("a", '"', "[", "9")]
    assert faults(texts, [tool]) == []
    longest = longest_call_tokens([tool])
    assert all(len(text.encode()) + 1 <= longest for text in texts)


def test_the_longest_call_takes_all_the_tokens_that_are_foretold() -> None:
    tool = Tool("f", arguments={"a": "string", "b": "boolean"})
    text = Call("f", '{"a": "' + "\U0001f600" * 256 + '", "b": false}').text
    assert accepts(call_grammar([tool]), text)
    assert longest_call_tokens([tool]) == len(text.encode()) + 1
    assert longest_call_tokens([tool, TOOLS[1]]) == len(text.encode()) + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Action: f\nAction Input: {"a": 1}', True),
        ("Action: f\nAction Input: {}", True),
        ("Action: g\nAction Input: {}", True),
        ('Action: g\nAction Input: {"a": 1}', False),
        ("Action: h\nAction Input: {}", False),
        ("Action: f\nAction Input: {} ", False),
        ("action: f\nAction Input: {}", False),
        ("Action: f\nAction Input: []", False),
    ],
)
def test_a_call_is_two_lines_of_one_form(text, expected):
    tools = [Tool("f", arguments={"a": "integer"}), Tool("g")]
    assert accepts(call_grammar(tools), text) is expected


def test_a_name_that_begins_another_is_told_from_it() -> None:
    tools = [Tool("get"), Tool("get_all", arguments={"n": "integer"})]
    grammar = call_grammar(tools)
    assert accepts(grammar, "Action: get\nAction Input: {}")
    assert accepts(grammar, 'Action: get_all\nAction Input: {"n": 1}')
    assert not accepts(grammar, 'Action: get\nAction Input: {"n": 1}')


# -- schemas of arguments -------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string, the city", {"type": "string"}),
        ("Integer", {"type": "integer"}),
        ("number , how many", {"type": "number"}),
        ("boolean,", {"type": "boolean"}),
        ("list, of names", {"type": "array"}),
        ("date, of arrival", {}),
        ("", {}),
    ],
)
def test_the_text_of_an_argument_begins_with_its_type(text, expected):
    found = arguments_schema(Tool("f", arguments={"a": text}))
    assert found == {"type": "object", "properties": {"a": expected}}


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "object"}, {"type": ["object", "null"]}, {"title": "No"}],
)
def test_a_schema_that_names_no_arguments_has_none(schema):
    grammar = call_grammar([Tool("f", schema=schema)])
    assert accepts(grammar, "Action: f\nAction Input: {}")
    assert not accepts(grammar, 'Action: f\nAction Input: {"a": 1}')


def test_a_schema_may_leave_the_names_to_the_model() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "null"}}
    grammar = call_grammar([Tool("f", schema=schema)])
    assert accepts(grammar, 'Action: f\nAction Input: {"a": null}')


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ([], "there are none"),
        ([Tool("f"), Tool("g"), Tool("f")], "'f' is there 2 times"),
        ([Tool("")], "'' cannot stand in a call"),
        ([Tool(" f")], "' f' cannot stand in a call"),
        ([Tool("a\nb")], "cannot stand in a call"),
        ([Tool("f", schema={"type": "array"})], "arguments are an object"),
        ([Tool("f", schema={"enum": [1]})], "no value fits it"),
        (
            [Tool("f", schema={"properties": {"a": {"not": {}}}})],
            "schema /properties/a: 'not' is not supported",
        ),
        (
            [Tool("f", schema={"properties": {"a": {"pattern": "(?=a)"}}})],
            "look-around",
        ),
    ],
)
def test_tools_without_a_grammar_are_refused_with_the_reason(tools, problem):
    with pytest.raises(ConfigError) as caught:
        call_grammar(tools)
    assert problem in caught.value.problems[0]
    assert caught.value.where in ("tools", "tool 'f'")


# -- reading calls --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'Action: f\nAction Input: {"a": "Action: g\\nAction Input: {}"}',
            Call("f", '{"a": "Action: g\\nAction Input: {}"}'),
        ),
        (
            '\nAction:f\nAction Input:\n{"a":\n1}\n',
            Call("f", '{"a":\n1}'),
        ),
        (
            "Action: f\nAction Input: {}\nAction: g\nAction Input: {}",
            Call("g", "{}"),
        ),
        ("I think. Action: f\nAction Input: {}", Call("f", "{}")),
        ("Action: f\nAction Input: {broken", Call("f", "{broken")),
        ("Action: \nAction Input: {}", Call("none", "{}")),
    ],
)
def test_a_whole_call_is_read_as_it_stands_and_others_from_their_end(
    text,
    expected,
):
    assert read_call(text) == expected
