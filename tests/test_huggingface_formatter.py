# -*- coding: utf-8 -*-
"""Messages of AgentScope as the turns of a local model."""

import json

import pytest
from agentscope.message import (
    AssistantMsg,
    Base64Source,
    DataBlock,
    HintBlock,
    SystemMsg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    URLSource,
    UserMsg,
)

from huggingface_formatter import (
    HuggingFaceChatFormatter,
    HuggingFaceMultiAgentFormatter,
    ServedChatFormatter,
)
from local_llm.errors import GenerationError
from local_llm.tool_calls import ToolCall, render_call, render_result
from local_llm.turns import CONTINUE_TEXT, OPENING_TEXT

pytestmark = pytest.mark.asyncio

CALL = ToolCallBlock(id="1", name="weather", input='{"city": "Paris"}')
RESULT = ToolResultBlock(id="1", name="weather", output="sunny")
CALL_TEXT = render_call(ToolCall("weather", {"city": "Paris"}))
IMAGE = DataBlock(source=Base64Source(data="aGk=", media_type="image/png"))
SOUND = DataBlock(
    source=URLSource(url="https://example.com/a", media_type="audio/mp3"),
)


async def turns(*msgs, formatter=None) -> list[tuple[str, str]]:
    """Role and text of each turn."""
    formatted = await (formatter or HuggingFaceChatFormatter()).format(
        list(msgs),
    )
    return [(one["role"], one["content"]) for one in formatted]


async def test_a_conversation_keeps_its_roles_and_words():
    assert await turns(
        SystemMsg("system", "Be brief."),
        UserMsg("user", "Hi"),
        AssistantMsg("Alice", "Hello."),
        UserMsg("user", "Bye"),
    ) == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "Bye"),
    ]


async def test_a_turn_is_a_role_and_a_content_and_nothing_else():
    formatted = await HuggingFaceChatFormatter().format([UserMsg("u", "Hi")])
    assert formatted == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (TextBlock(text="Hello."), [("assistant", "Hello.")]),
        (ThinkingBlock(thinking="hm"), []),
        (HintBlock(hint="Go on."), [("user", "Go on.")]),
        (
            HintBlock(hint=[TextBlock(text="one"), TextBlock(text="two")]),
            [("user", "one\ntwo")],
        ),
        (CALL, [("assistant", CALL_TEXT)]),
        (RESULT, [("user", render_result("sunny"))]),
        (
            ToolResultBlock(id="1", name="f", output=[TextBlock(text="a")]),
            [("user", render_result("a"))],
        ),
    ],
    ids=["text", "thinking", "hint", "hints", "call", "result", "results"],
)
async def test_each_kind_of_block_becomes_its_turn(block, expected):
    assert await turns(AssistantMsg("Alice", [block])) == expected


async def test_blocks_of_one_message_keep_their_order():
    reply = AssistantMsg(
        "Alice",
        [
            ThinkingBlock(thinking="I need the weather"),
            TextBlock(text="One moment."),
            CALL,
            RESULT,
            TextBlock(text="It is sunny."),
        ],
    )
    assert await turns(reply) == [
        ("assistant", f"One moment.\n{CALL_TEXT}"),
        ("user", render_result("sunny")),
        ("assistant", "It is sunny."),
    ]


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_empty_and_blank_messages_become_no_turn(text):
    assert await turns(SystemMsg("s", text), UserMsg("user", text)) == []
    assert await turns(UserMsg("user", [])) == []
    assert await turns() == []


@pytest.mark.parametrize(
    ("msg", "media_type"),
    [
        (UserMsg("user", [IMAGE]), "image/png"),
        (UserMsg("user", [TextBlock(text="Listen"), SOUND]), "audio/mp3"),
        (AssistantMsg("Alice", [HintBlock(hint=[IMAGE])]), "image/png"),
    ],
    ids=["image", "sound", "image in a hint"],
)
async def test_what_is_not_text_is_refused_by_its_media_type(msg, media_type):
    with pytest.raises(GenerationError, match=f"holds {media_type} data"):
        await turns(msg)


@pytest.mark.parametrize("wrong", ["text", [{"role": "user"}]])
async def test_only_a_list_of_messages_is_taken(wrong):
    with pytest.raises(TypeError):
        await HuggingFaceChatFormatter().format(wrong)


async def test_results_stand_in_the_order_of_their_calls():
    calls = [ToolCallBlock(id=n, name="f", input="{}") for n in "ab"]
    results = [ToolResultBlock(id=n, name="f", output=n) for n in "ba"]
    (_, called), (_, answered) = await turns(
        AssistantMsg("Alice", [*calls, *results]),
    )
    assert called == "\n".join([render_call(ToolCall("f", {}))] * 2)
    assert answered == f"{render_result('a')}\n{render_result('b')}"


@pytest.mark.parametrize("written", ['{"city": Paris', "[1]", "5"])
async def test_a_call_that_could_not_be_read_stays_as_it_was_written(written):
    block = ToolCallBlock(id="1", name="weather", input=json.dumps(written))
    assert await turns(AssistantMsg("Alice", [block])) == [
        ("assistant", f"<tool_call>\n{written}\n</tool_call>"),
    ]


# -- several agents --------------------------------------------------------------

ALICE = HuggingFaceMultiAgentFormatter(agent_name="Alice")


async def test_what_another_agent_said_is_heard_as_a_user_with_its_name():
    assert await turns(
        UserMsg("user", "Who is there?"),
        AssistantMsg("Bob", "I am."),
        AssistantMsg("Alice", "So am I."),
        formatter=ALICE,
    ) == [
        ("user", "Who is there?"),
        ("user", "Bob: I am."),
        ("assistant", "So am I."),
    ]


async def test_another_agent_that_says_nothing_leaves_no_name_behind():
    blank = AssistantMsg("Bob", [ThinkingBlock(thinking="hm")])
    assert await turns(blank, formatter=ALICE) == []


async def test_hints_of_another_agent_carry_no_name():
    hint = AssistantMsg("Bob", [HintBlock(hint="Go on.")])
    assert await turns(hint, formatter=ALICE) == [("user", "Go on.")]


async def test_what_another_agent_calls_is_told_in_words():
    assert await turns(
        AssistantMsg("Bob", [CALL, RESULT]),
        AssistantMsg("Alice", [CALL]),
        formatter=ALICE,
    ) == [
        ("user", 'Bob calls weather: {"city": "Paris"}'),
        ("user", "weather answers Bob: sunny"),
        ("assistant", CALL_TEXT),
    ]


# -- served models ---------------------------------------------------------------


async def test_a_server_gets_the_system_text_in_the_users_first_words():
    assert await turns(
        SystemMsg("system", "Be brief."),
        UserMsg("user", " Hi "),
        formatter=ServedChatFormatter(),
    ) == [("user", "Be brief.\n\n Hi")]


async def test_a_template_with_a_system_role_gets_it_as_such():
    assert await turns(
        SystemMsg("system", "Be brief."),
        UserMsg("user", "Hi"),
        formatter=ServedChatFormatter(folds_system=False),
    ) == [("system", "Be brief."), ("user", "Hi")]


async def test_a_server_gets_roles_that_alternate_the_user_first_and_last():
    assert await turns(
        AssistantMsg("Alice", "Hello."),
        UserMsg("user", "One."),
        UserMsg("user", "Two."),
        AssistantMsg("Alice", "Three."),
        formatter=ServedChatFormatter(),
    ) == [
        ("user", OPENING_TEXT),
        ("assistant", "Hello."),
        ("user", "One.\n\nTwo."),
        ("assistant", "Three."),
        ("user", CONTINUE_TEXT),
    ]


async def test_a_server_is_asked_even_where_nobody_has_spoken():
    formatter = ServedChatFormatter()
    assert await turns(formatter=formatter) == [("user", OPENING_TEXT)]
    assert await turns(
        SystemMsg("system", "Be brief."),
        formatter=formatter,
    ) == [("user", "Be brief.")]
