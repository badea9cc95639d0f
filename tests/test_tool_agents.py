# -*- coding: utf-8 -*-
"""Trained roles become an agent, with the local tools or with one's own."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from agentscope.event import ToolCallStartEvent, ToolResultTextDeltaEvent
from agentscope.message import TextBlock, ToolCallBlock, UserMsg
from agentscope.permission import PermissionBehavior
from agentscope.state import AgentState
from agentscope.tool import FunctionTool, Toolkit
from scripted_chat_models import CONCLUDE, Voice
from tiny_teams import team_entry

from alpha_umi.agent import AlphaUMiAgent
from alpha_umi.glpft import GLPFT
from alpha_umi.local_tools import local_tools
from alpha_umi.tool_agent_settings import parse_tool_agent_settings
from alpha_umi.trained_team import TeamRecord, write_team
from huggingface_model import HuggingFaceWrapper
from local_llm.errors import CheckpointError, ConfigError
from tool_agents import load_agent, local_toolkit, make_agent


def add(a: int, b: int) -> str:
    """Add.

    Args:
        a (int): one
        b (int): the other
    """
    return f"sum {a + b}"


def own_toolkit() -> Toolkit:
    return Toolkit([FunctionTool(add, is_read_only=True)])


def agent_of(
    job: GLPFT,
    toolkit: Toolkit | None = None,
    **changes: object,
) -> AlphaUMiAgent:
    entry = team_entry(**changes)
    return make_agent(
        parse_tool_agent_settings(entry, "the test"),
        job.output,
        "alpha-umi",
        job.surroundings.folder,
        toolkit=toolkit,
    )


def config_of(job: GLPFT, place: Path, **changes: object) -> Path:
    """A config file with the entry of a trained team."""
    model = job.surroundings.folder / "model"
    entry = team_entry(**{"output_dir": str(job.output), **changes})
    entry["model"]["local_model_path"] = str(model)
    path = place / "configs.json"
    path.write_text(json.dumps([entry]))
    return path


def role_models(agent: AlphaUMiAgent) -> list[HuggingFaceWrapper]:
    model = agent.model
    return [model.planner, model.caller, model.summarizer]


# -- the agent -------------------------------------------------------------


def test_three_adapters_play_on_one_base(trained_team: GLPFT) -> None:
    models = role_models(agent_of(trained_team))
    assert len({id(one.local.base) for one in models}) == 1
    assert len({one.local.adapter for one in models}) == 3


def test_the_roles_work_together_as_the_settings_say(
    trained_team: GLPFT,
) -> None:
    agent = agent_of(
        trained_team,
        search="dfsdt",
        max_steps=7,
        constrained_calls=False,
        system_prompt="Be brief.",
        prompt_style="paper",
    )
    chosen = agent.model.parameters
    assert (chosen.mode, chosen.limits.steps) == ("dfsdt", 7)
    assert chosen.constrained_calls is False
    # As it was trained, whatever the config says by now.
    assert chosen.style == "brief"


def test_calls_are_of_ones_own_tools_alone(trained_team: GLPFT) -> None:
    agent = agent_of(trained_team, own_toolkit(), max_steps=2)

    async def events() -> list[object]:
        asked = UserMsg("user", "1+4?")
        return [one async for one in agent.reply_stream(asked)]

    found = asyncio.run(events())
    names = {
        one.tool_call_name
        for one in found
        if isinstance(one, ToolCallStartEvent)
    }
    assert names == {"add"}
    results = [
        one.delta for one in found if isinstance(one, ToolResultTextDeltaEvent)
    ]
    assert results and all(one.startswith("sum ") for one in results)


def test_an_entry_is_enough_and_another_model_may_plan(
    trained_team: GLPFT,
    tmp_path: Path,
) -> None:
    configs = config_of(trained_team, tmp_path)
    remote = Voice(f"I know. {CONCLUDE}")
    agent = load_agent("tiny-team", configs, own_toolkit(), remote)
    asyncio.run(agent.reply(UserMsg("user", "1+4?")))
    assert len(remote.asked) == 1
    planner, *others = role_models(agent)
    assert planner is remote
    assert len({one.local.adapter for one in others}) == 2


def test_ready_adapters_are_used_where_nothing_is_trained(
    trained_team: GLPFT,
    tmp_path: Path,
) -> None:
    ready = str(trained_team.output)
    configs = config_of(
        trained_team,
        tmp_path,
        output_dir="nothing",
        ready_adapters=ready,
    )
    models = role_models(load_agent("tiny-team", configs))
    assert len({one.local.adapter for one in models}) == 3


def test_what_is_not_trained_is_refused(
    trained_team: GLPFT,
    tmp_path: Path,
) -> None:
    settings = trained_team.settings
    with pytest.raises(CheckpointError, match="no trained arm"):
        make_agent(settings, tmp_path, "alpha-umi", tmp_path)


def test_one_model_that_says_all_has_no_roles(
    trained_team: GLPFT,
    tmp_path: Path,
) -> None:
    from alpha_umi.arms import ARMS

    write_team(tmp_path, TeamRecord(ARMS["single"], "brief"))
    with pytest.raises(ConfigError, match="one model says all"):
        make_agent(trained_team.settings, tmp_path, "single", tmp_path)


def test_the_snippet_of_the_readme_gives_an_answer(
    trained_team: GLPFT,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = Path(__file__).resolve().parents[1] / "README.md"
    snippets = re.findall(
        r"```python\n(.*?)```",
        readme.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    (snippet,) = [one for one in snippets if "load_agent(" in one]
    configs = config_of(trained_team, tmp_path)
    mine = f"load_agent('tiny-team', Path({str(configs)!r})"
    snippet = snippet.replace('load_agent("tools-embedded"', mine)
    exec(compile(snippet, "README.md", "exec"), {"Path": Path})
    assert capsys.readouterr().out.strip()


# -- the local tools -------------------------------------------------------


def called(toolkit: Toolkit, tool: str, **arguments: object) -> tuple:
    """The state and the text of a call's result."""
    block = ToolCallBlock(id="1", name=tool, input=json.dumps(arguments))

    async def results() -> list:
        stream = toolkit.call_tool(block, AgentState())
        return [one async for one in stream]

    last = asyncio.run(results())[-1]
    texts = [one.text for one in last.content if isinstance(one, TextBlock)]
    return str(last.state), "".join(texts)


def test_the_toolkit_has_every_local_tool_with_its_arguments() -> None:
    schemas = asyncio.run(local_toolkit().get_tool_schemas([]))
    functions = [one["function"] for one in schemas]
    names = [one.__name__ for one in local_tools()]
    assert len(names) >= 12
    assert [one["name"] for one in functions] == names
    by_name = {one["name"]: one["parameters"] for one in functions}
    assert by_name["calculate"]["required"] == ["expression"]
    assert all(
        one["additionalProperties"] is False for one in by_name.values()
    )


@pytest.mark.parametrize(
    ("name", "arguments", "state", "text"),
    [
        ("calculate", {"expression": "6 * 7"}, "success", "42"),
        (
            "look_up",
            {"name": "Mont Blanc", "field": "height"},
            "success",
            "4806 m",
        ),
        ("day_of_week", {"date": "2027-03-01"}, "success", "Monday"),
        (
            "day_of_week",
            {"date": "soon"},
            "error",
            "Error: soon is no date, write 2024-12-31 or 31 December 2024",
        ),
    ],
)
def test_a_local_tool_answers_or_says_what_is_wrong(
    name: str,
    arguments: dict[str, object],
    state: str,
    text: str,
) -> None:
    assert called(local_toolkit(), name, **arguments) == (state, text)


def test_each_toolkit_has_a_to_do_list_of_its_own() -> None:
    mine, other = local_toolkit(), local_toolkit()
    called(mine, "add_to_do", item="buy milk")
    assert called(mine, "list_to_do")[1] == "buy milk"
    assert called(other, "list_to_do")[1] == "nothing to do"


def test_nobody_is_asked_before_a_local_tool_runs() -> None:
    async def decisions() -> set[PermissionBehavior]:
        toolkit = local_toolkit()
        tools = [await toolkit.get_tool(one.__name__) for one in local_tools()]
        return {
            (await tool.check_permissions({}, None)).behavior
            for tool in tools
            if tool is not None
        }

    assert asyncio.run(decisions()) == {PermissionBehavior.ALLOW}
