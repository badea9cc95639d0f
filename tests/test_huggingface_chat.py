# -*- coding: utf-8 -*-
"""What AgentScope demands of a chat model: calls, choices, fallbacks."""

import asyncio
import json
import logging
import shutil
from pathlib import Path

import pytest
from agentscope.exception import StructuredOutputError
from agentscope.formatter import OpenAIChatFormatter
from agentscope.message import ToolCallBlock
from agentscope.model import ChatResponse, FinishedReason
from agentscope.tool import ToolChoice
from pydantic import BaseModel
from tiny_agents import asked, entry, messages_of, text_of, wrapper
from tiny_models import THINKING

import huggingface_chat
import huggingface_replies
from huggingface_model import HuggingFaceWrapper
from local_llm.errors import GenerationError, NotACall
from local_llm.schema_checks import mismatch
from local_llm.turns import Turn

pytestmark = pytest.mark.asyncio

QUESTION = "Is it sunny?"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}},
    "required": ["city"],
}


def tool(name: str, schema: dict) -> dict:
    """A tool as AgentScope gives it to a model."""
    function = {"name": name, "description": "Is here.", "parameters": schema}
    return {"type": "function", "function": function}


TOOLS = [tool("weather", CITY), tool("now", {"type": "object"})]
SCHEMAS = {"weather": CITY, "now": {"type": "object"}}
CALL = (
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n'
    "</tool_call>"
)


class City(BaseModel):
    """What a structured answer looks like."""

    name: str


@pytest.fixture(scope="module", params=[True, False], ids=["stream", "whole"])
def model(
    request: pytest.FixtureRequest,
    roomy_folder: Path,
) -> HuggingFaceWrapper:
    """A model with room for tools, streaming or not."""
    config = entry(local_model_path=str(roomy_folder), max_length=48)
    return wrapper(roomy_folder, config, stream=request.param)


@pytest.fixture
def without_llguidance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies cannot be held to anything."""
    for module in (huggingface_chat, huggingface_replies):
        monkeypatch.setattr(module, "is_installed", lambda: False)


async def chunks_of(model: HuggingFaceWrapper, **arguments) -> list:
    """All responses to a question, the last one whole."""
    response = await model(asked(QUESTION), **arguments)
    if isinstance(response, ChatResponse):
        return [response]
    return [chunk async for chunk in response]


def says(model: HuggingFaceWrapper, text: str) -> dict:
    """Arguments with which the model can only say this."""
    return {"grammar": f"start: {json.dumps(text)}", "max_tokens": 400}


# -- calls ---------------------------------------------------------------


@pytest.mark.parametrize("mode", ["required", "weather", "now"])
async def test_a_demanded_call_is_one_and_fits_its_tool(model, mode):
    choice = ToolChoice(mode=mode)
    (*_, last) = await chunks_of(model, tools=TOOLS, tool_choice=choice)
    (call,) = last.content
    assert isinstance(call, ToolCallBlock)
    assert call.name in SCHEMAS if mode == "required" else call.name == mode
    assert mismatch(json.loads(call.input), SCHEMAS[call.name]) == ""
    assert last.is_last
    assert last.finished_reason == FinishedReason.COMPLETED


async def test_drawn_calls_fit_too(model):
    choice = ToolChoice(mode="required", tools=["weather"])
    for seed in range(5):
        chunks = await chunks_of(
            model,
            tools=TOOLS,
            tool_choice=choice,
            temperature=1.8,
            seed=seed,
        )
        (call,) = chunks[-1].content
        assert call.name == "weather"
        assert mismatch(json.loads(call.input), CITY) == ""


async def test_words_and_calls_keep_their_ids_and_nothing_is_said_twice(
    model,
):
    said = f"Let me look.\n{CALL}\n{CALL}"
    chunks = await chunks_of(model, tools=TOOLS, **says(model, said))
    text, *calls = chunks[-1].content
    assert text.text == "Let me look."
    assert [one.input for one in calls] == ['{"city": "Paris"}'] * 2
    assert len({one.id for one in chunks}) == 1
    ids = {block.id for chunk in chunks for block in chunk.content}
    assert len(ids) == 3
    if model.stream:
        parts = [chunk for chunk in chunks if not chunk.is_last]
        assert "".join(
            block.text
            for chunk in parts
            for block in chunk.content
            if block.type == "text"
        ) == ("Let me look.")
        assert len(parts) > 3


@pytest.mark.parametrize(
    "choice",
    [ToolChoice(mode="none"), ToolChoice(mode="auto", tools=["now"])],
    ids=["none", "another"],
)
async def test_a_call_that_is_not_allowed_is_text(model, choice):
    chunks = await chunks_of(
        model,
        tools=TOOLS,
        tool_choice=choice,
        **says(model, CALL),
    )
    assert text_of(chunks[-1]) == CALL


async def test_a_reply_can_be_made_to_end_with_its_first_call(model):
    said = f"Let me look.\n{CALL}\n{CALL}"
    more = {**says(model, said), "parallel_tool_calls": False}
    (*_, last) = await chunks_of(model, tools=TOOLS, **more)
    assert [one.type for one in last.content] == ["text", "tool_call"]
    assert last.metadata["finish_reason"] == "stop"


async def test_without_tools_a_call_is_text(model):
    chunks = await chunks_of(model, **says(model, CALL))
    assert text_of(chunks[-1]) == CALL


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('<tool_call>{"name": "weather", "argu', " of weather"),
        ("<tool_call>weather(Paris)</tool_call>", " of weather"),
        ("<tool_call>{}</tool_call>", ""),
    ],
)
async def test_what_is_no_call_reaches_the_agent_as_one_of_no_tool(
    model,
    said,
    name,
):
    chunks = await chunks_of(model, tools=TOOLS, **says(model, said))
    (call,) = chunks[-1].content
    assert call.name == f"unreadable call{name}"
    assert json.loads(call.input) == said.split(">")[1].split("</")[0]


async def test_a_choice_that_names_no_tool_is_refused(model):
    choice = ToolChoice(mode="fly")
    with pytest.raises(ValueError, match="Invalid tool name 'fly'"):
        await model(asked(QUESTION), tools=TOOLS, tool_choice=choice)


async def test_a_call_that_may_not_fit_is_refused_with_the_numbers(
    roomy_folder,
):
    config = entry(local_model_path=str(roomy_folder))
    roomy = wrapper(roomy_folder, config)
    tokens = await roomy.count_tokens(asked(QUESTION), TOOLS[:1])
    small = wrapper(roomy_folder, config, context_size=tokens + 50)
    choice = ToolChoice(mode="required")
    with pytest.raises(GenerationError) as caught:
        await chunks_of(small, tools=TOOLS[:1], tool_choice=choice)
    assert "room for 50" in str(caught.value)


async def test_a_formatter_of_other_models_is_told(roomy_folder):
    config = entry(local_model_path=str(roomy_folder))
    other = wrapper(roomy_folder, config, formatter=OpenAIChatFormatter())
    with pytest.raises(GenerationError, match="OpenAIChatFormatter makes"):
        await chunks_of(other)


# -- counting ------------------------------------------------------------


async def test_tokens_are_counted_with_the_tools(model):
    bare = await model.count_tokens(asked(QUESTION))
    counted = await model.count_tokens(asked(QUESTION), TOOLS)
    (*_, last) = await chunks_of(model, tools=TOOLS, max_tokens=2)
    assert counted == last.usage.input_tokens > bare
    assert await model.count_tokens(asked(QUESTION), []) == bare
    choice = ToolChoice(mode="none")
    (*_, last) = await chunks_of(
        model,
        tools=TOOLS,
        tool_choice=choice,
        max_tokens=2,
    )
    assert last.usage.input_tokens == bare


# -- structured output ---------------------------------------------------


async def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(
    roomy_folder,
):
    config = entry(local_model_path=str(roomy_folder))
    small = wrapper(roomy_folder, config, context_size=200)
    tokens = await small.count_tokens(asked(QUESTION), TOOLS)
    for mode in ("auto", "required"):
        with pytest.raises(GenerationError) as caught:
            choice = ToolChoice(mode=mode)
            await chunks_of(small, tools=TOOLS, tool_choice=choice)
        assert f"has {tokens} tokens, the context only 200" in str(
            caught.value
        )


async def test_structured_output_fits_at_the_first_attempt(model):
    with messages_of("as") as logged:
        response = await model.generate_structured_output(
            asked(QUESTION),
            City,
            max_tokens=40,
        )
    assert City.model_validate(response.content)
    assert not [one for one in logged if "fallback" in one]


async def test_without_llguidance_every_way_to_ask_is_tried_and_told_once(
    model,
    without_llguidance,
    monkeypatch,
):
    prompts = []
    request = model.local.request

    def noted(turns, *arguments):
        prompts.append(turns[-1].text)
        return request(turns, *arguments)

    monkeypatch.setattr(model.local, "request", noted)
    monkeypatch.setattr(model, "_has_told_what_is_missing", False)
    with messages_of("huggingface_chat") as logged:
        with pytest.raises(StructuredOutputError):
            await model.generate_structured_output(asked(QUESTION), City)
    assert len(prompts) == 3
    assert prompts[0].startswith("Call generate_structured_output now.")
    assert len(logged) == 1 and "pip install llguidance" in logged[0]


async def test_without_llguidance_a_right_call_is_taken(
    model,
    without_llguidance,
):
    call = CALL.replace("weather", "generate_structured_output")
    response = await model.generate_structured_output(
        asked(QUESTION),
        CITY,
        **says(model, f"Well.\n{call}"),
    )
    assert response.content == {"city": "Paris"}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("I will not.", "it calls nothing"),
        (CALL.replace("weather", "fly"), "there is no fly"),
        (CALL.replace("city", "town"), "'city' is a required property"),
        ("<tool_call>x</tool_call>", "not readable"),
    ],
)
async def test_without_llguidance_a_demanded_call_is_checked(
    model,
    without_llguidance,
    said,
    problem,
):
    with pytest.raises(NotACall, match=problem) as caught:
        await chunks_of(
            model,
            tools=TOOLS[:1],
            tool_choice=ToolChoice(mode="required"),
            **says(model, said),
        )
    assert "llguidance" in caught.value.fix


async def test_a_schema_without_a_grammar_is_asked_for_in_words(model):
    odd = {**CITY, "not": {"required": ["town"]}}
    with messages_of("huggingface_chat") as logged:
        with pytest.raises(StructuredOutputError):
            await model.generate_structured_output(asked(QUESTION), odd)
    assert "'not' is not supported" in logged[0]


# -- thinking ------------------------------------------------------------


async def test_thinking_is_switched_for_a_model_or_a_reply(
    roomy_folder,
    tmp_path,
    without_llguidance,
):
    folder = shutil.copytree(roomy_folder, tmp_path / "thinks")
    (folder / "chat_template.jinja").write_text(THINKING)
    config = entry(local_model_path=str(folder), max_length=2)
    thinks = wrapper(folder, config)
    parameters = HuggingFaceWrapper.Parameters(thinking_enable=False)
    at_once = wrapper(folder, config, parameters=parameters)
    more = await at_once.count_tokens(asked(QUESTION))
    assert more > await thinks.count_tokens(asked(QUESTION))
    for model, switch in ((at_once, None), (thinks, False)):
        chosen = {} if switch is None else {"thinking_enable": switch}
        (*_, last) = await chunks_of(model, **chosen)
        assert last.usage.input_tokens == more
    with messages_of("as", logging.DEBUG) as logged:
        with pytest.raises(StructuredOutputError):
            await thinks.generate_structured_output(asked(QUESTION), City)
    assert any("'no_think' failed" in one for one in logged)


async def test_what_has_no_switch_is_told_in_words(model):
    with pytest.raises(GenerationError, match="no switch for thinking"):
        await chunks_of(model, thinking_enable=True)


# -- leaving -------------------------------------------------------------


async def test_a_call_that_is_interrupted_leaves_nothing_half_done(model):
    choice = ToolChoice(mode="required")

    async def ask() -> list:
        return await chunks_of(model, tools=TOOLS, tool_choice=choice)

    task = asyncio.create_task(ask())
    await asyncio.sleep(0.02)
    task.cancel()
    last = (await task)[-1]
    assert last.finished_reason == FinishedReason.INTERRUPTED
    assert last.content == []
    again = await chunks_of(model, tools=TOOLS, tool_choice=choice)
    assert again[-1].content[0].type == "tool_call"


async def test_the_demand_is_the_last_that_the_model_reads(model):
    offer = huggingface_chat.offer_of(TOOLS, ToolChoice(mode="required"))
    (turn, words) = offer.demanded([Turn("user", QUESTION)])
    assert words.text.startswith("Call weather or now now.")
