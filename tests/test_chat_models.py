# -*- coding: utf-8 -*-
"""The chat model of a config entry; a served one with a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentscope.agent import Agent
from agentscope.message import AssistantMsg, Msg, SystemMsg, UserMsg
from agentscope.model import ChatResponse, OpenAIChatModel
from served_model import free_port, servable, serving, silent_server
from tiny_agents import dialog_agent, entry, respond, text_of
from tiny_program import Run, arguments, fixture_run  # noqa: F401

from chat_models import ServedChatModel, load_chat_model, system_prompt_of
from finetune_dialog_agent import Finetune_DialogAgent
from huggingface_model import HuggingFaceWrapper
from local_llm.errors import ConfigError, GenerationError
from local_llm.served_settings import parse_served_settings
from msghub import MsgHub

QUESTION = "What is the capital of France?"
NEW_TOKENS = 12


def served_entry(**changes: Any) -> dict[str, Any]:
    return {
        "config_name": "served",
        "model_type": "openai_chat",
        "model_name": "the-model",
        "generate_args": {"max_tokens": NEW_TOKENS, "temperature": 0},
        **changes,
    }


def served_model(**changes: Any) -> ServedChatModel:
    settings = parse_served_settings(served_entry(**changes), "the test")
    return ServedChatModel(settings, {"SERVER_KEY": "a-key"})


def write_configs(place: Path, *entries: dict[str, Any]) -> Path:
    path = place / "configs.json"
    path.write_text(json.dumps(entries))
    return path


# -- what an entry gives ---------------------------------------------------


def test_an_entry_of_a_server_gives_agentscopes_openai_model(
    tmp_path: Path,
) -> None:
    path = write_configs(tmp_path, served_entry(system_prompt="Be brief."))
    model = load_chat_model("served", path)
    assert isinstance(model, OpenAIChatModel)
    assert model.model == "the-model"
    assert model.parameters.max_tokens == NEW_TOKENS
    assert system_prompt_of(model) == "Be brief."


def test_a_local_entry_gives_a_wrapper(project: Path) -> None:
    path = write_configs(project, entry(system_prompt="Be kind."))
    model = load_chat_model("tiny", path)
    assert isinstance(model, HuggingFaceWrapper)
    assert system_prompt_of(model) == "Be kind."


def test_a_model_of_another_program_is_refused(tmp_path: Path) -> None:
    other = {"config_name": "other", "model_type": "dashscope_chat"}
    path = write_configs(tmp_path, other)
    with pytest.raises(ConfigError, match="another program reads it"):
        load_chat_model("other", path)


def test_no_key_is_sent_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-users-own")
    settings = parse_served_settings(served_entry(), "the test")
    assert "users-own" not in ServedChatModel(settings).client.api_key


def test_the_key_comes_from_the_named_variable() -> None:
    model = served_model(api_key_variable="SERVER_KEY")
    assert model.client.api_key == "a-key"
    assert "a-key" not in repr(model.credential)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ConfigError, match="MISSING is not set to a key"):
        served_model(api_key_variable="MISSING")


def test_what_agentscope_does_not_know_goes_along() -> None:
    arguments = {"max_tokens": 5, "frequency_penalty": 0.5, "seed": 3}
    model = served_model(generate_args=arguments)
    assert model.extra_body == {"frequency_penalty": 0.5, "seed": 3}


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    address = f"http://127.0.0.1:{free_port()}/v1"
    model = served_model(client_args={"base_url": address, "max_retries": 0})
    with pytest.raises(GenerationError, match="no server answers at") as e:
        await respond(model, QUESTION)
    assert address in str(e.value)
    assert "transformers serve the-model" in e.value.fix


@pytest.mark.asyncio
async def test_a_server_that_is_slow_is_not_said_to_be_absent() -> None:
    with silent_server() as address:
        client = {"base_url": address, "timeout": 0.5, "max_retries": 0}
        model = served_model(client_args=client)
        with pytest.raises(GenerationError, match="said nothing for 0.5") as e:
            await respond(model, QUESTION)
    assert address in str(e.value)
    assert "client_args.timeout" in e.value.fix
    assert "start one" not in e.value.fix


# -- with a real server ----------------------------------------------------


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return servable(tmp_path_factory.mktemp("model"))


@pytest.fixture(name="address", scope="module")
def fixture_address(folder: Path) -> Iterator[str]:
    with serving(folder) as address:
        yield address


@pytest.fixture(name="configs")
def fixture_configs(tmp_path: Path, folder: Path, address: str) -> Path:
    """One entry for the server, and one for the same weights in here."""
    served = served_entry(
        model_name=str(folder),
        client_args={"base_url": address, "max_retries": 0},
    )
    dense = {"bnb_config": {"bnb_4bit_compute_dtype": "float32"}}
    local = entry(
        local_model_path=str(folder),
        max_length=NEW_TOKENS,
        fine_tune_config=dense,
    )
    return write_configs(tmp_path, served, local)


async def said_by(agent: Agent, text: str) -> str:
    async for item in agent.reply_stream(
        UserMsg("user", text),
        yield_final_msg=True,
    ):
        last = item
    assert isinstance(last, Msg)
    return last.get_text_content() or ""


@pytest.mark.asyncio
@pytest.mark.parametrize("system_prompt", ["", "You are kind."])
async def test_an_agent_on_the_server_says_what_the_local_model_says(
    configs: Path,
    system_prompt: str,
) -> None:
    agents = [
        Finetune_DialogAgent.from_config(
            name,
            system_prompt=system_prompt,
            model_configs=configs,
        )
        for name in ("served", "tiny")
    ]
    served, local = [await said_by(agent, QUESTION) for agent in agents]
    assert served == local != ""


@pytest.mark.asyncio
async def test_any_agent_may_use_it(configs: Path) -> None:
    agent = Agent("Bob", "You are Bob.", load_chat_model("served", configs))
    assert await said_by(agent, QUESTION)


@pytest.mark.asyncio
async def test_a_reply_in_pieces_is_the_reply_at_once(configs: Path) -> None:
    model = load_chat_model("served", configs)
    streamed = text_of(await respond(model, QUESTION))
    model.stream = False
    whole = await respond(model, QUESTION)
    assert isinstance(whole, ChatResponse)
    assert text_of(whole) == streamed != ""


@pytest.mark.asyncio
async def test_agents_on_one_server_talk_in_a_hub(configs: Path) -> None:
    model = load_chat_model("served", configs)
    alice = dialog_agent(model, "Alice", system_prompt="You are Alice.")
    bob = dialog_agent(model, "Bob")
    async with MsgHub([alice, bob], UserMsg("host", QUESTION)) as hub:
        said = await hub.speak(alice)
        answer = await hub.speak(bob)
    assert said.get_text_content() and answer.get_text_content()


def test_the_program_talks_with_it(configs: Path, run: Run) -> None:
    code, shown = run(*arguments(configs, name="served"), turns=QUESTION)
    assert code == 0
    assert "nothing is loaded, compared or fine-tuned here" in shown
    assert "error" not in shown and "assistant" in shown


@pytest.mark.asyncio
async def test_turns_in_any_order_are_taken(configs: Path) -> None:
    model = load_chat_model("served", configs)
    turns = [
        SystemMsg("system", "Be brief."),
        AssistantMsg("Alice", "Hello."),
        UserMsg("user", "One."),
        UserMsg("user", "Two."),
        AssistantMsg("Alice", "Three."),
    ]
    model.stream = False
    assert text_of(await model(turns))


@pytest.mark.asyncio
async def test_another_model_than_the_served_one_is_refused_with_its_name(
    configs: Path,
) -> None:
    model = load_chat_model("served", configs)
    model.model = "another"
    with pytest.raises(GenerationError, match="gave no reply: .*400") as e:
        await respond(model, QUESTION)
    assert "another" in str(e.value) and "model_name" in e.value.fix


@pytest.mark.asyncio
async def test_a_server_that_dies_in_a_reply_is_an_error_of_ours(
    folder: Path,
) -> None:
    arguments = {"max_tokens": 400, "temperature": 0}
    with serving(folder) as address:
        model = served_model(
            model_name=str(folder),
            generate_args=arguments,
            client_args={"base_url": address, "max_retries": 0},
        )
        parts = await model([UserMsg("user", QUESTION)])
        await anext(parts)
    with pytest.raises(GenerationError):
        async for _ in parts:
            pass
