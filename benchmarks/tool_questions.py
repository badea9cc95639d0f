# -*- coding: utf-8 -*-
"""How many unseen questions the roles of `make tools` answer.

    python benchmarks/tool_questions.py [FOLDER]

Asks the 30 questions of data/tool_questions.json, none of whose calls is in
the training data, of the adapters in FOLDER (default: adapters/tools), with all
the local tools, as `small_llms.py chat` offers them. A question is solved
where the right calls were made in their order and the answer has the right
value. Writes reports/tool_questions.json.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from embedded import PROJECT, REPORTS, describe_machine

CONFIG = "tools-embedded"
ARM = "alpha-umi"


def main() -> None:
    """Ask, count and write."""
    folder = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "adapters/tools"
    )
    questions = json.loads(
        (PROJECT / "data" / "tool_questions.json").read_text(encoding="utf-8"),
    )
    rows = asyncio.run(_ask_all(folder, questions))
    two = [row for row in rows if row["expected_calls"] == 2]
    figures = {
        "command": "python benchmarks/tool_questions.py",
        "machine": describe_machine(),
        "questions": len(rows),
        "solved": sum(row["solved"] for row in rows),
        "questions_with_two_calls": len(two),
        "solved_with_two_calls": sum(row["solved"] for row in two),
        "calls": sum(row["calls"] for row in rows),
        "invalid_calls": sum(len(row["faults"]) for row in rows),
        "outcomes": Counter(row["outcome"] for row in rows),
        "rows": rows,
    }
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    (REPORTS / "tool_questions.json").write_text(f"{text}\n", "utf-8")
    print(json.dumps({k: v for k, v in figures.items() if k != "rows"}))


async def _ask_all(folder: Path, questions: Any) -> list[dict[str, Any]]:
    from alpha_umi.local_roles import local_team
    from alpha_umi.tool_agent_settings import load_tool_agent_settings
    from alpha_umi.trained_team import TrainedTeam
    from local_llm.surroundings import Surroundings, cache_folder

    configs = PROJECT / "configs" / "model_configs.json"
    settings = load_tool_agent_settings(configs, CONFIG)
    surroundings = Surroundings(PROJECT, cache_folder(os.environ))
    trained = TrainedTeam.load(folder, ARM, settings.model, surroundings)
    team = local_team(trained)
    return [await _ask(team, question) for question in questions]


async def _ask(team: Any, question: dict[str, Any]) -> dict[str, Any]:
    from alpha_umi.end_to_end import Expected, task_figures
    from alpha_umi.local_tools import local_tools
    from alpha_umi.loop import Solution, solve
    from alpha_umi.protocol import write_call
    from alpha_umi.python_tools import runner_of, tools_of
    from alpha_umi.tool_runs import in_thread

    functions = local_tools()
    tools = tools_of(functions)
    run = in_thread(runner_of(functions))
    events = [
        one async for one in solve(team, tools, question["instruction"], run)
    ]
    solution = events[-1]
    assert isinstance(solution, Solution)
    wanted = [
        write_call(one["name"], one["arguments"]) for one in question["calls"]
    ]
    figures = task_figures(
        tools,
        solution.log,
        solution.outcome,
        solution.answer or "",
        Expected(tuple(wanted), ((question["answer_has"],),)),
    )
    return {
        "instruction": question["instruction"],
        "expected_calls": len(wanted),
        **figures.as_dict(),
        "said": [f"{one.speaker}: {one.text}" for one in solution.log],
    }


if __name__ == "__main__":
    main()
