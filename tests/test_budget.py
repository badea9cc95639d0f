# -*- coding: utf-8 -*-
"""A team that is held to a budget says what it would say, up to it."""

import asyncio

import pytest
from scripted_team import CONCLUDE, Said, Scripted, team_of

from alpha_umi.budget import Budget, TaskEnded
from alpha_umi.limits import Limits, Outcome
from local_llm.errors import GenerationError


def heard(budget: Budget, *texts: Said) -> str:
    """All that a planner says that is asked once for each text."""

    async def listen() -> str:
        planner = budget.of_team(team_of(texts)).planner
        parts = [
            delta.text
            for number in range(len(texts))
            async for delta in planner.stream("plan", attempt=number)
        ]
        return "".join(parts)

    return asyncio.run(listen())


def test_within_the_budget_a_reply_stays_as_it_is() -> None:
    budget = Budget(Limits())
    assert heard(budget, "a plan of some length", CONCLUDE) == (
        f"a plan of some length{CONCLUDE}"
    )
    assert (budget.queries, budget.tokens) == (2, 12)


def test_the_model_gets_prompt_and_attempt() -> None:
    model = Scripted(["a", "b"])
    team = team_of(["x"])
    held = Budget(Limits()).of_team(
        type(team)(model, team.caller, team.summarizer)
    )

    async def ask() -> None:
        async for _ in held.planner.stream("the prompt", (), 3):
            pass

    asyncio.run(ask())
    assert (model.prompts, model.attempts) == (["the prompt"], [3])


def test_a_query_too_many_is_not_made() -> None:
    budget = Budget(Limits(queries=1))
    with pytest.raises(TaskEnded) as caught:
        heard(budget, "one", "two")
    assert caught.value.outcome is Outcome.QUERY_LIMIT
    assert budget.queries == 1


def test_a_reply_is_left_at_the_last_token() -> None:
    budget = Budget(Limits(tokens=5))
    with pytest.raises(TaskEnded) as caught:
        heard(budget, "x" * 800)
    assert caught.value.outcome is Outcome.TOKEN_LIMIT
    assert budget.tokens == 6


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GenerationError("gone", fix="wait"), "planner: gone\n  fix: wait"),
        (KeyError("x"), "planner: KeyError: 'x'"),
    ],
)
def test_an_error_of_a_model_names_the_role(
    error: Exception,
    text: str,
) -> None:
    with pytest.raises(TaskEnded) as caught:
        heard(Budget(Limits()), error)
    assert caught.value.outcome is Outcome.MODEL_ERROR
    assert caught.value.error == text
    assert caught.value.__cause__ is error
