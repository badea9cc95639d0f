# -*- coding: utf-8 -*-
"""Raw answers in the form of ToolBench, written for the tests."""

import json
from pathlib import Path
from typing import Any

SYSTEM = {"role": "system", "content": "Solve the task with functions."}
TASK = {"role": "user", "content": "\nHow warm is it in Rome?\nBegin!\n"}
INSTRUCTION = "How warm is it in Rome?"
FINISH = {
    "name": "Finish",
    "description": "Ends the task.",
    "parameters": {
        "type": "object",
        "properties": {"return_type": {"type": "string", "enum": ["a"]}},
        "required": ["return_type"],
    },
}


def assistant(
    content: str | None,
    name: str = "",
    arguments: object = "{}",
) -> dict[str, Any]:
    """A message of the assistant, with a call where a name is given."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if name:
        call = {"name": name, "arguments": arguments}
        message["function_call"] = call
    return message


def finish(arguments: object, content: str | None = "Done.") -> dict[str, Any]:
    """A message that ends the task."""
    return assistant(content, "Finish", arguments)


def observed(content: object) -> dict[str, Any]:
    """What a function gave."""
    return {"role": "function", "name": "f", "content": content}


def function(
    name: str = "weather_for_sky",
    description: str = "Tells the weather.",
    **properties: Any,
) -> dict[str, Any]:
    """A function that may be called."""
    parameters = {"type": "object", "properties": properties, "required": []}
    return {
        "name": name,
        "description": description,
        "parameters": {**parameters, "optional": []},
    }


SOLVED = [
    SYSTEM,
    TASK,
    assistant("I look.", "weather_for_sky", '{\n  "city": "Rome"\n}'),
    observed('{"error": "", "response": "{\'warm\': 21}"}'),
    finish('{"return_type": "give_answer", "final_answer": "21 degrees."}'),
]
CITY = {"type": "string", "description": "where", "example_value": "Rome"}


def answer(
    *messages: dict[str, Any],
    functions: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """An answer file: each list of messages is one longer than the last."""
    chain = list(messages or SOLVED)
    return {
        "win": True,
        "tree": {"size": len(chain), "tree": {"children": []}},
        "compare_candidates": [[]],
        "answer_generation": {
            "valid_data": True,
            "query_count": 2,
            "function": [*(functions or [function(city=CITY)]), FINISH],
            "query": INSTRUCTION,
            "chain": [],
            "train_messages": [chain[:3], chain],
        },
    }


def write(path: Path, value: object) -> Path:
    """Write a file as ToolBench does, in folders that need not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return path
