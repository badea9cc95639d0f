# -*- coding: utf-8 -*-
"""Python functions as tools: what a model reads of them, and their calls.

Name, description and arguments come from a function's signature and docstring.
Knows no prompts and no models. `runner_of` raises nothing that a model could
cause: what is wrong with a call is the text of its observation.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any

from docstring_parser import parse
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from .protocol import Call, Tool

Run = Callable[[Call], str]
"""Runs a call and gives its observation."""


def tools_of(functions: Sequence[Callable[..., object]]) -> tuple[Tool, ...]:
    """The tools that functions are to a model.

    Args:
        functions (`Sequence[Callable[..., object]]`):
            Typed functions or bound methods with Google docstrings; the
            first line and the lines of the arguments are read.

    Returns:
        `tuple[Tool, ...]`: In the same order, each with its JSON schema.
    """
    return tuple(_tool(function) for function in functions)


def tool_of_schema(
    name: str,
    description: str,
    schema: Mapping[str, Any],
) -> Tool:
    """A tool whose arguments are a JSON schema.

    Args:
        name (`str`):
            Of the tool.
        description (`str`):
            What it does.
        schema (`Mapping[str, Any]`):
            Of the arguments' object.
    """
    properties: Mapping[str, object] = schema.get("properties", {})
    arguments = {
        key: f"{_kind(one)}, {_about(one)}" for key, one in properties.items()
    }
    return Tool(name, description, arguments, schema)


def runner_of(functions: Sequence[Callable[..., object]]) -> Run:
    """What runs calls of these functions.

    Args:
        functions (`Sequence[Callable[..., object]]`):
            As for `tools_of`; they raise ValueError for what they cannot do.

    Returns:
        `Run`: Gives the function's result as text, or `failed(...)` of what
        is wrong with the call.
    """
    known = {one.__name__: (one, _arguments_model(one)) for one in functions}

    def run(call: Call) -> str:
        if call.name not in known:
            names = ", ".join(known)
            return failed(f"unknown tool {call.name}, use one of {names}")
        function, model = known[call.name]
        try:
            arguments = model.model_validate(json.loads(call.arguments))
            return str(function(**dict(arguments)))
        except (json.JSONDecodeError, RecursionError) as error:
            return failed(f"the arguments are no JSON: {error}")
        except ValidationError as error:
            return failed(_problems(error))
        except ValueError as error:
            return failed(str(error))

    return run


def failed(reason: str) -> str:
    """The observation of a call that failed."""
    return f"Error: {reason}"


def _tool(function: Callable[..., object]) -> Tool:
    description = parse(function.__doc__ or "").short_description or ""
    schema = _arguments_model(function).model_json_schema()
    _drop_titles(schema)
    return tool_of_schema(function.__name__, description, schema)


def _kind(schema: object) -> str:
    """A JSON type in a word or two; the values that there are, where nobody
    has described them."""
    if not isinstance(schema, Mapping):
        return "any"
    values = [str(one) for one in schema.get("enum", ())]
    if values and not all(one in _about(schema) for one in values):
        return "one of " + " | ".join(values)
    if isinstance(schema.get("type"), str):
        return schema["type"]
    kinds = schema.get("type") or map(_kind, schema.get("anyOf", ()))
    return " or ".join(kinds) or "any"


def _about(schema: object) -> str:
    """What a schema says that its values are for."""
    told = schema.get("description") if isinstance(schema, Mapping) else ""
    return told or ""


def _arguments_model(function: Callable[..., object]) -> type[BaseModel]:
    documented = {
        one.arg_name: one.description
        for one in parse(function.__doc__ or "").params
    }
    fields: dict[str, Any] = {
        one.name: (
            one.annotation,
            Field(
                ... if one.default is Parameter.empty else one.default,
                description=documented.get(one.name),
            ),
        )
        for one in signature(function, eval_str=True).parameters.values()
    }
    # A model writes 7 where a text is wanted, and arguments that are none.
    config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    return create_model(function.__name__, __config__=config, **fields)


def _drop_titles(schema: dict[str, Any]) -> None:
    schema.pop("title", None)
    for one in schema.get("properties", {}).values():
        one.pop("title", None)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}"
        for one in error.errors(include_url=False)
    )
