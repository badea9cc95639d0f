# -*- coding: utf-8 -*-
"""AgentScope's messages and schemas as the roles read them."""

import json

import pytest
from agentscope.message import (
    AssistantMsg,
    Base64Source,
    ContentBlock,
    DataBlock,
    HintBlock,
    Msg,
    SystemMsg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    UserMsg,
)
from scripted_chat_models import toolkit

from alpha_umi.agent_history import (
    AlphaUMiFormatter,
    history_of,
    system_text,
    tools_of,
)
from alpha_umi.protocol import Tool

PICTURE = DataBlock(source=Base64Source(data="", media_type="image/png"))


def thought(plan: str | None) -> ThinkingBlock:
    """What a step leaves; None where it was interrupted."""
    return ThinkingBlock(thinking=f"planner: {plan}", plan=plan)


def called(number: int, result: str | list | None = None) -> list:
    """A call of a tool, and what it said where it is there."""
    call = ToolCallBlock(
        id=f"{number}", name="add", input=f'{{"a": {number}}}'
    )
    if result is None:
        return [call]
    return [call, ToolResultBlock(id=f"{number}", name="add", output=result)]


def own(*blocks: ContentBlock) -> Msg:
    """A message of the agent's own."""
    return AssistantMsg("Ada", list(blocks))


def user(text: str) -> Msg:
    """A message of the user's."""
    return UserMsg("user", text)


def read(*messages: Msg, **more: int) -> list[tuple[str, str]]:
    """The conversation, speaker and text."""
    return [(one.speaker, one.text) for one in history_of(messages, **more)]


STEP = [
    ("assistant", "I add. Next: caller."),
    ("caller", 'Action: add\nAction Input: {"a": 1}'),
    ("observation", "5"),
]


def test_the_steps_of_the_round_under_way_are_told() -> None:
    message = own(thought("I add. Next: caller."), *called(1, "5"))
    assert read(user("Add."), message) == [("user", "Add."), *STEP]


def test_of_a_round_that_is_over_the_answer_is_told() -> None:
    first = own(
        thought("I add. Next: caller."),
        *called(1, "5"),
        ThinkingBlock(thinking="planner: Next: conclusion.\nsummarizer:"),
        TextBlock(text="It is 5."),
    )
    assert read(user("Add."), first, user("And?")) == [
        ("user", "Add."),
        ("conclusion", "It is 5."),
        ("user", "And?"),
    ]


def test_of_a_round_that_was_interrupted_its_whole_steps_are_told() -> None:
    first = own(
        thought("I add. Next: caller."),
        *called(1, "5"),
        thought(None),
    )
    assert read(user("Add."), first, user("Go on.")) == [
        ("user", "Add."),
        *STEP,
        ("user", "Go on."),
    ]


def test_an_attempt_given_up_is_told() -> None:
    message = own(
        thought("I add. Next: caller."),
        *called(1, "5"),
        thought("No. Next: give up."),
        thought("I add 2. Next: caller."),
        *called(2, "7"),
    )
    assert read(message) == [
        *STEP,
        ("assistant", "No. Next: give up."),
        ("assistant", "I add 2. Next: caller."),
        ("caller", 'Action: add\nAction Input: {"a": 2}'),
        ("observation", "7"),
    ]


def test_a_round_that_a_message_parted_goes_on() -> None:
    parted = [
        own(thought("I add. Next: caller."), *called(1, "5")),
        user("Quick!"),
        own(thought("Again. Next: caller."), *called(2, "6")),
    ]
    speakers = [speaker for speaker, _ in read(user("Add."), *parted)]
    step = ["assistant", "caller", "observation"]
    assert speakers == ["user", *step, "user", *step]


def test_another_models_words_before_a_call_are_its_rationale() -> None:
    message = own(TextBlock(text="I add."), *called(1, "5"))
    assert read(message) == STEP


def test_another_models_call_without_a_word_has_a_plan() -> None:
    message = own(ThinkingBlock(thinking="secret"), *called(1, "5"))
    assert read(message) == [("assistant", "Next: caller."), *STEP[1:]]


def test_hints_are_told_as_the_users_words_in_their_place() -> None:
    hint = HintBlock(hint=[TextBlock(text="Time is up."), PICTURE])
    message = own(*called(1, "5"), hint)
    assert read(message)[-1] == ("user", "Time is up.\n[image/png data]")


def test_a_hint_behind_an_answer_asks_for_more() -> None:
    message = own(
        *called(1, "5"), TextBlock(text="5."), HintBlock(hint="As JSON!")
    )
    assert read(message) == [("conclusion", "5."), ("user", "As JSON!")]


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("5", "5"),
        ([TextBlock(text="5"), TextBlock(text="6")], "5\n6"),
        ([TextBlock(text="See:"), PICTURE], "See:\n[image/png data]"),
        ([], ""),
    ],
)
def test_a_result_is_told_in_words(output: str | list, text: str) -> None:
    assert read(own(*called(1, output)))[-1] == ("observation", text)


def test_a_long_result_is_cut() -> None:
    message = own(*called(1, "x" * 5000))
    assert read(message)[-1][1] == f"{'x' * 1024}..."
    assert read(message, longest_observation=3)[-1][1] == "xxx..."


REFUSED = "a long text for large models"


@pytest.mark.parametrize(
    ("name", "arguments", "state", "observed"),
    [
        ("ad", "{}", "error", "There is no tool ad. Did you mean add?"),
        ("add", "{", "error", "The arguments of add are no JSON: "),
        ("add", '{"a": "1"}', "denied", "The arguments of add do not fit: "),
        ("add", '{"a": 1}', "denied", REFUSED),
        ("add", '{"a": 1}', "error", REFUSED),
        ("gone", "{}", "success", REFUSED),
    ],
)
def test_of_a_call_that_could_not_be_made_the_reason_is_observed(
    name: str,
    arguments: str,
    state: str,
    observed: str,
) -> None:
    message = own(
        ToolCallBlock(id="1", name=name, input=arguments),
        ToolResultBlock(id="1", name=name, output=REFUSED, state=state),
    )
    schema = {"properties": {"a": {"type": "integer"}}, "required": ["a"]}
    said = history_of([message], [Tool("add", schema=schema)])
    assert said[-1].text.startswith(observed)
    assert read(message)[-1] == ("observation", REFUSED)


def test_the_system_prompt_is_no_part_of_the_conversation() -> None:
    messages = [SystemMsg("system", "Be kind."), user("Hi.")]
    assert read(*messages) == [("user", "Hi.")]
    assert system_text(messages) == "Be kind."
    assert system_text([SystemMsg("system", " ")]) == ""


def test_a_message_with_a_picture_says_so() -> None:
    message = UserMsg("user", [TextBlock(text="Look:"), PICTURE])
    assert read(message) == [("user", "Look:\n[image/png data]")]


@pytest.mark.asyncio
async def test_the_formatter_writes_as_published_files_do() -> None:
    formatter = AlphaUMiFormatter()
    messages = [SystemMsg("system", "Be kind."), user("Hi.")]
    assert await formatter.format(messages) == [
        {"from": "user", "value": "Hi."}
    ]
    assert formatter.supported_input_media_types == []


# -- tools ---------------------------------------------------------------------


@pytest.mark.asyncio
async def test_tools_are_described_with_types_and_have_their_schema() -> None:
    schemas = await toolkit().get_tool_schemas()
    add, double = tools_of(schemas)
    assert add.name == "add"
    assert add.description.startswith("Add two numbers.")
    assert add.arguments == {
        "a": "integer, The one.",
        "b": "integer, The other.",
    }
    assert add.schema == schemas[0]["function"]["parameters"]
    assert double.name == "double"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "description": "A city."}, "string, A city."),
        ({"type": "string"}, "string, "),
        ({"enum": ["hot", 5]}, "one of hot | 5, "),
        ({"type": ["string", "null"]}, "string or null, "),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "string or null, ",
        ),
        ({"$ref": "#/$defs/City"}, "any, "),
        ({}, "any, "),
        (True, "any, "),
    ],
)
def test_every_argument_has_a_kind(schema: dict | bool, text: str) -> None:
    parameters = {"type": "object", "properties": {"x": schema}}
    function = {"name": "f", "parameters": parameters}
    (tool,) = tools_of([{"type": "function", "function": function}])
    assert tool.arguments == {"x": text}
    assert json.dumps(tool.as_document())


def test_a_tool_without_arguments_or_description_is_one() -> None:
    (tool,) = tools_of([{"function": {"name": "now"}}])
    assert (tool.name, tool.description, tool.arguments) == ("now", "", {})
