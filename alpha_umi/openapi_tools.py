# -*- coding: utf-8 -*-
"""Operations of an OpenAPI document as tools.

Parameters and the fields of a request's body are the arguments. Knows no
network. Raises KeyError and TypeError for what is no such document.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .protocol import Tool
from .tool_texts import ArgumentTexts, argument_text, description_text

_DEEPEST_REFERENCE = 20
"""A document whose parts refer to each other in a circle has no bottom."""


def tools_of(document: Mapping[str, Any], texts: ArgumentTexts) -> list[Tool]:
    """The operations of a document.

    Args:
        document (`Mapping[str, Any]`):
            OpenAPI 3, with an `operationId` for each operation.
        texts (`ArgumentTexts`):
            How arguments read.

    Raises:
        `KeyError`: An operation has no name, or a reference no target.
        `ValueError`: References run in a circle.
    """
    return [
        _tool(_resolved(operation, document), texts)
        for path in document["paths"].values()
        for operation in path.values()
    ]


def _tool(operation: Mapping[str, Any], texts: ArgumentTexts) -> Tool:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, schema, is_required in _arguments(operation):
        properties[name] = schema
        required += [name] if is_required else []
    said = operation.get("description") or operation.get("summary", "")
    return Tool(
        operation["operationId"],
        description_text(texts, said),
        {
            name: argument_text(
                texts,
                str(schema.get("type", "any")),
                [str(one) for one in schema.get("enum", ())],
                schema.get("description", ""),
                name not in required,
            )
            for name, schema in properties.items()
        },
        {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    )


def _arguments(
    operation: Mapping[str, Any],
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Name, schema, and whether it is required."""
    for one in operation.get("parameters", ()):
        schema = dict(one["schema"])
        schema.setdefault("description", one.get("description", ""))
        yield one["name"], schema, bool(one.get("required"))
    for content in (
        operation.get("requestBody", {}).get("content", {}).values()
    ):
        body = content["schema"]
        for name, schema in body.get("properties", {}).items():
            yield name, dict(schema), name in body.get("required", ())


def _resolved(value: Any, document: Mapping[str, Any], depth: int = 0) -> Any:
    """The same with what it refers to in its place."""
    if depth > _DEEPEST_REFERENCE:
        raise ValueError("references run in a circle")
    if isinstance(value, list):
        return [_resolved(one, document, depth) for one in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        target: Any = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        return _resolved(target, document, depth + 1)
    return {
        name: _resolved(one, document, depth) for name, one in value.items()
    }
