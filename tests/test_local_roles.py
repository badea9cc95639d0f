# -*- coding: utf-8 -*-
"""Local models speak as roles: in parts, otherwise when asked again, in calls
that their tools accept."""

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest
from scripted_team import CITY
from tiny_models import gemma, reply, save_model
from tiny_teams import TOOLS, TRAJECTORIES, load_team

from alpha_umi.arms import find_arm
from alpha_umi.calls import fault_of
from alpha_umi.glpft import GLPFT
from alpha_umi.held_calls import HeldCalls
from alpha_umi.limits import Limits
from alpha_umi.local_roles import LocalRole, local_team
from alpha_umi.loop import Solution, solve
from alpha_umi.protocol import Tool, read_call
from alpha_umi.records import records_of
from alpha_umi.roles import TEAM, Delta, Role
from alpha_umi.simulated_tools import SimulatedTools
from alpha_umi.task_evaluation import tasks_of
from alpha_umi.trained_team import TeamRecord, TrainedTeam
from local_llm.errors import ConfigError, GenerationError
from local_llm.generation import Delivery, Piece, Request
from local_llm.loaded_model import LoadedModel
from local_llm.settings import ModelSettings
from local_llm.surroundings import Surroundings

SEEDS = range(1, 21)
STRICT = (
    Tool(
        "add",
        schema={
            "type": "object",
            "properties": {
                "a": {"type": "integer", "minimum": 0},
                "b": {"type": "integer", "maximum": 9},
                "how": {"enum": ["fast", "well"]},
            },
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    ),
    Tool("now", schema={"type": "object", "additionalProperties": False}),
)


@pytest.fixture(name="team")
def fixture_team(trained_team: GLPFT) -> Iterator[TrainedTeam]:
    team = load_team(trained_team)
    yield team
    team.unload()


@pytest.fixture(name="roomy", scope="module")
def fixture_roomy(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A random model with room for long calls, and short replies."""
    place = tmp_path_factory.mktemp("roomy")
    wide = gemma(max_position_embeddings=4096)
    settings = ModelSettings(
        "roomy",
        local_model_path=save_model(place / "model", wide),
        device="cpu",
        max_length=4,
    )
    model = LoadedModel(settings, Surroundings(place, place / "cache"))
    model.load_model()
    return model


def prompt_of(role: Role) -> str:
    return records_of(TRAJECTORIES[0], role, "brief")[0].input


def deltas(
    role: LocalRole,
    prompt: str,
    tools: Sequence[Tool] = (),
    attempt: int = 0,
) -> list[Delta]:
    async def hear() -> list[Delta]:
        return [one async for one in role.stream(prompt, tools, attempt)]

    return asyncio.run(hear())


def text(*arguments: object) -> str:
    return "".join(one.text for one in deltas(*arguments))


# -- what is said ----------------------------------------------------------------


@pytest.mark.parametrize("role", TEAM)
def test_a_role_says_what_its_adapter_does(
    team: TrainedTeam,
    role: Role,
) -> None:
    model = team.models[role]
    said = text(LocalRole(model), prompt_of(role))
    assert said == reply(
        model.base,
        prompt_of(role),
        adapter=model.adapter,
        max_new_tokens=8,
    )


def test_tokens_of_the_parts_add_up_to_those_of_the_reply(
    team: TrainedTeam,
) -> None:
    model = team.models[Role.PLANNER]
    parts = deltas(LocalRole(model), prompt_of(Role.PLANNER))
    assert sum(one.tokens for one in parts) == model.settings.max_length == 8
    assert len(parts) > 2 and all(one.tokens >= 0 for one in parts)


def test_who_is_asked_again_says_something_else_each_time(
    team: TrainedTeam,
) -> None:
    role = LocalRole(team.models[Role.PLANNER])
    prompt = prompt_of(Role.PLANNER)
    said = [text(role, prompt, (), attempt) for attempt in range(5)]
    assert len(set(said)) == 5
    assert text(role, prompt, (), 3) == said[3]


# -- calls -----------------------------------------------------------------------


@pytest.mark.parametrize("attempt", SEEDS)
def test_a_caller_that_is_held_makes_calls_that_its_tools_accept(
    team: TrainedTeam,
    attempt: int,
) -> None:
    caller = LocalRole(team.models[Role.CALLER], HeldCalls())
    said = text(caller, prompt_of(Role.CALLER), STRICT, attempt)
    assert fault_of(read_call(said), STRICT) is None


@pytest.mark.parametrize("attempt", range(6))
def test_a_call_is_not_cut_where_replies_are_short(
    roomy: LoadedModel,
    attempt: int,
) -> None:
    tools = [CITY, *TOOLS]
    hot = dataclasses.replace(roomy.settings.generation, temperature=2.0)
    roomy.settings = dataclasses.replace(roomy.settings, generation=hot)
    parts = deltas(LocalRole(roomy, HeldCalls()), "?", tools, attempt)
    said = "".join(one.text for one in parts)
    assert fault_of(read_call(said), tools) is None
    assert sum(one.tokens for one in parts) > roomy.settings.max_length == 4


def test_a_caller_that_is_free_says_what_it_likes(team: TrainedTeam) -> None:
    free = LocalRole(team.models[Role.CALLER])
    prompt = prompt_of(Role.CALLER)
    said = [text(free, prompt, TOOLS, attempt) for attempt in range(5)]
    assert all(fault_of(read_call(one), TOOLS) for one in said)


def test_a_role_that_is_told_of_no_tools_is_not_held(
    team: TrainedTeam,
) -> None:
    held = LocalRole(team.models[Role.CALLER], HeldCalls())
    free = LocalRole(team.models[Role.CALLER])
    prompt = prompt_of(Role.CALLER)
    assert text(held, prompt) == text(free, prompt)


# -- who stops listening ---------------------------------------------------------


class Watched(LoadedModel):
    """Keeps the last part that the worker makes of each reply."""

    def submit(self, request: Request) -> None:
        ends = self.__dict__.setdefault("ends", [])
        deliver = request.deliver

        def noted(delivery: Delivery) -> None:
            if isinstance(delivery, Piece) and delivery.finish_reason:
                ends.append(delivery)
            deliver(delivery)

        request.deliver = noted
        super().submit(request)


def test_leaving_a_reply_frees_the_worker(roomy: LoadedModel) -> None:
    long = dataclasses.replace(roomy.settings, max_length=3000)
    model = Watched(long, roomy.surroundings)
    model.load_model()

    async def leave_then_ask() -> None:
        async with asyncio.timeout(60):
            async with aclosing(LocalRole(model).stream("?")) as parts:
                await anext(parts)
            model.settings = roomy.settings
            assert [one async for one in LocalRole(model).stream("?")]

    asyncio.run(leave_then_ask())
    left, whole = model.__dict__["ends"]
    assert left.finish_reason == "cancelled" and left.output_tokens < 1000
    assert (whole.finish_reason, whole.output_tokens) == ("length", 4)


def test_a_prompt_without_room_for_a_reply_is_refused(
    team: TrainedTeam,
) -> None:
    role = LocalRole(team.models[Role.PLANNER])
    with pytest.raises(GenerationError, match="the context only 512"):
        deltas(role, "a b c d " * 512)


# -- a team ----------------------------------------------------------------------


@pytest.mark.parametrize(("held", "is_valid"), [(True, True), (False, False)])
def test_a_team_makes_valid_calls_where_they_are_held(
    team: TrainedTeam,
    held: bool,
    is_valid: bool,
) -> None:
    (task, *_) = tasks_of(TRAJECTORIES)
    players = local_team(team, constrained_calls=held)
    run = SimulatedTools(task.expected).run
    limits = Limits(steps=2, repeats=3)

    async def end() -> Solution:
        events = solve(players, task.tools, task.instruction, run, limits)
        *_, last = [one async for one in events]
        assert isinstance(last, Solution)
        return last

    solution = asyncio.run(end())
    assert solution.calls and solution.error is None
    assert [one.result.is_valid for one in solution.calls] == [is_valid] * 2


def test_an_arm_in_which_one_model_says_all_has_no_team(
    roomy: LoadedModel,
) -> None:
    record = TeamRecord(find_arm("single"), "brief")
    with pytest.raises(ConfigError, match="one model says all") as raised:
        local_team(TrainedTeam(record, {Role.BACKBONE: roomy}))
    assert "the arm single" in str(raised.value)
    assert raised.value.fix == "use another one, such as alpha-umi"
