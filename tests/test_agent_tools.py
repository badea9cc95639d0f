# -*- coding: utf-8 -*-
"""Agents on a local model use tools, in teams too, and nothing unchecked."""

import json
from pathlib import Path
from typing import Literal

import jsonschema
import pytest
from agentscope.agent import ReActConfig
from agentscope.message import (
    AssistantMsg,
    SystemMsg,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    UserMsg,
)
from agentscope.permission import (
    PermissionBehavior,
    PermissionDecision,
    PermissionMode,
)
from agentscope.pipeline import TeamMember, TeamPipeline
from agentscope.tool import (
    Edit,
    FunctionTool,
    Read,
    ToolBase,
    ToolChunk,
    Toolkit,
    Write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from raw_replies import replies
from scripted_calls import calls_of, results_of, scripted_agent
from tiny_agents import dialog_agent, entry, wrapper

import huggingface_replies
from huggingface_model import HuggingFaceWrapper
from huggingface_offers import offer_of
from local_llm.conversation_formats import to_turns
from local_llm.reply_parts import ReplyReader
from local_llm.wire_formats import own_format

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module", name="model")
def fixture_model(roomy_folder: Path) -> HuggingFaceWrapper:
    """A model with random weights and room for tools."""
    config = entry(local_model_path=str(roomy_folder), max_length=24)
    return wrapper(roomy_folder, config)


def add(a: int, b: int) -> str:
    """Add two numbers.

    Args:
        a: One.
        b: The other.
    """
    return str(a + b)


async def test_agentscopes_own_file_tools_are_called_as_they_want_it(
    model,
    tmp_path,
):
    path = {"file_path": str(tmp_path / "note.txt")}
    agent = scripted_agent(
        model,
        "Alice",
        [Write(), Read(), Edit()],
        ("Write", {**path, "content": "first line"}),
        ("Read", path),
        ("Edit", {**path, "old_string": "first", "new_string": "second"}),
        ("Read", path),
        None,
    )
    reply = await agent.reply(UserMsg("user", "Keep a note."))
    (*_, said) = agent.state.context
    assert [one.state for one in results_of(said)] == ["success"] * 4
    assert [one.name for one in calls_of(said)] == [
        *("Write", "Read", "Edit", "Read"),
    ]
    assert (tmp_path / "note.txt").read_text() == "second line"
    assert reply.get_text_content()


async def test_a_call_with_random_arguments_is_run_and_fits(model):
    agent = scripted_agent(
        model,
        "Alice",
        [FunctionTool(add, is_read_only=True)],
        ("add", {}),
        ("add", {"a": 1}),
        None,
    )
    await agent.reply(UserMsg("user", "Add."))
    said = agent.state.context[-1]
    for call, result in zip(calls_of(said), results_of(said), strict=True):
        values = json.loads(call.input)
        assert result.state == "success"
        assert result.output[0].text == add(**values)


async def test_a_team_of_three_solves_a_task(model):
    summer = scripted_agent(
        model,
        "Bob",
        [FunctionTool(add, is_read_only=True)],
        ("add", {"a": 2, "b": 3}),
        None,
    )
    talker = scripted_agent(model, "Carol", [], None)
    leader = scripted_agent(
        model,
        "Alice",
        [],
        ("TeamAssign", {"member": "Bob", "prompt": "Add 2 and 3."}),
        ("TeamAssign", {"member": "Carol", "prompt": "Say it."}),
        None,
    )
    members = [
        TeamMember(agent=summer, description="adds"),
        TeamMember(agent=talker, description="talks"),
    ]
    team = TeamPipeline(leader, members, reset_members=False)
    async for _ in team.reply_stream(UserMsg("user", "What is 2 and 3?")):
        pass
    said = leader.state.context[-1]
    assert [json.loads(c.input)["member"] for c in calls_of(said)] == [
        *("Bob", "Carol"),
    ]
    assert [one.state for one in results_of(said)] == ["success"] * 2
    (added,) = results_of(summer.state.context[-1])
    assert added.output[0].text == "5"
    assert said.get_text_content()
    assert talker.state.context[0].get_text_content() == "Say it."


class Verdict(BaseModel):
    """What a reply ends with."""

    verdict: Literal["yes", "no"]
    reason: str | None = None


@pytest.mark.parametrize("has_tools", [False, True])
async def test_a_reply_can_end_with_an_object(model, has_tools):
    tools = [FunctionTool(add, is_read_only=True)] if has_tools else []
    agent = dialog_agent(
        model,
        toolkit=Toolkit(tools=tools),
        react_config=ReActConfig(max_iters=1),
    )
    reply = await agent.reply(
        UserMsg("user", "Is it so?"),
        structured_schema=Verdict,
    )
    assert Verdict.model_validate(reply.structured_output)


# -- training and chat ---------------------------------------------------


async def test_a_conversation_with_tools_is_the_same_in_chat_and_training(
    model,
):
    tool = FunctionTool(add, is_read_only=True)
    schemas = await Toolkit(tools=[tool]).get_tool_schemas([])
    calls = [{"a": 2, "b": 3}, {"a": 1, "b": 1}]
    row = {
        "tools": schemas,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Add."},
            {
                "role": "assistant",
                "content": "One moment.",
                "tool_calls": [
                    {
                        "type": "function",
                        "id": str(number),
                        "function": {"name": "add", "arguments": values},
                    }
                    for number, values in enumerate(calls)
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "2"},
            {"role": "tool", "tool_call_id": "0", "content": "5"},
            {"role": "assistant", "content": "5 and 2."},
        ],
    }
    blocks = [TextBlock(text="One moment.")]
    blocks += [
        ToolCallBlock(id=str(i), name="add", input=json.dumps(values))
        for i, values in enumerate(calls)
    ]
    blocks += [
        ToolResultBlock(id="1", name="add", output="2"),
        ToolResultBlock(id="0", name="add", output="5"),
        TextBlock(text="5 and 2."),
    ]
    chat = offer_of(schemas).put_before(
        await model._turns(
            [
                SystemMsg("system", "Be brief."),
                UserMsg("user", "Add."),
                AssistantMsg("Alice", blocks),
            ],
        ),
    )
    _, trained = to_turns(row, "row 1")
    assert chat == trained


# -- whatever a model writes ---------------------------------------------

CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 9},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["city"],
    "additionalProperties": False,
}


NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}


class Recorder(ToolBase):
    """Notes what it is called with."""

    description = "Is here."
    is_read_only = True
    is_concurrency_safe = True

    def __init__(self, name: str, schema: dict) -> None:
        super().__init__()
        self.name, self.input_schema = name, schema
        self.seen: list[dict] = []

    async def check_permissions(self, tool_input, context):
        return PermissionDecision(PermissionBehavior.ALLOW, "It is harmless.")

    async def call(self, **values) -> ToolChunk:
        self.seen.append(values)
        return ToolChunk(content=[TextBlock(text="done")])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.floats()
    | st.sampled_from(["", "Paris", "5", "A long name of a city", "\u00e9"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["city", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
arguments = st.dictionaries(
    st.sampled_from(["city", "days", "town"]),
    values,
    max_size=3,
)
named = st.builds(
    lambda name, key, given: json.dumps({"name": name, key: given}),
    st.sampled_from(["weather", "now", "fly", "", "GenerateX"]),
    st.sampled_from(["arguments", "parameters", "args"]),
    arguments | values,
)
cut = st.builds(
    lambda text, end: text[: len(text) - end], named, st.integers(1, 9)
)
written = st.builds(
    lambda start, call, end: f"{start}{call}{end}",
    st.sampled_from(["", "<tool_call>", "<tool_call>\n", "Look: <tool_call>"]),
    named | cut | replies,
    st.sampled_from(["", "</tool_call>", "\n</tool_call> then"]),
)


def blocks_of(text: str, tools: list[dict]) -> list:
    """What an agent gets of a reply."""
    offer = offer_of(tools)
    reader = ReplyReader(own_format(True), tools)
    parts = [*reader.feed(text), *reader.end(True)]
    usage = huggingface_replies.ChatUsage(0, 0, 0.0)
    heard = huggingface_replies._Heard(parts, usage, "stop")
    return huggingface_replies._Writer(offer).response(heard).content


@settings(
    max_examples=500,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(texts=st.lists(written, min_size=10, max_size=10))
async def test_whatever_is_written_no_call_runs_that_fails_its_schema(
    model,
    texts,
):
    """500 times ten texts; each call goes the agent's whole way."""
    recorders = [Recorder("weather", CITY), Recorder("now", NOTHING)]
    agent = dialog_agent(model, toolkit=Toolkit(tools=recorders))
    agent.state.permission_context.mode = PermissionMode.BYPASS
    tools = await agent.toolkit.get_tool_schemas([])
    calls = [
        block
        for text in texts
        for block in blocks_of(text, tools)
        if block.type == "tool_call"
    ]
    agent.state.append_context(agent.name, list(calls))
    for call in calls:
        async for _ in agent._execute_tool_call(call):
            pass
    for recorder in recorders:
        for seen in recorder.seen:
            jsonschema.validate(seen, recorder.input_schema)
    results = results_of(agent.state.context[-1]) if calls else []
    assert len(results) == len(calls)
    # A call that could not be read was never run, however it was repaired.
    run = sum(len(one.seen) for one in recorders)
    assert run == sum(one.state == "success" for one in results)
    unreadable = {
        one.id for one in calls if isinstance(json.loads(one.input), str)
    }
    assert not [
        one for one in results if one.id in unreadable and one.state != "error"
    ]
