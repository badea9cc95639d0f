# -*- coding: utf-8 -*-
"""Operations of an OpenAPI document become tools with their schemas."""

from typing import Any

import pytest

from alpha_umi.openapi_tools import tools_of
from alpha_umi.protocol import Tool

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/pens/{id}": {
            "get": {
                "operationId": "getPen",
                "summary": "Find a pen",
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "description": "The number",
                        "required": True,
                        "schema": {"type": "integer"},
                    },
                    {
                        "name": "color",
                        "in": "query",
                        "required": False,
                        "schema": {"$ref": "#/components/schemas/Color"},
                    },
                ],
            },
            "put": {
                "operationId": "paintPen",
                "description": "Paint a pen",
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Paint"},
                        },
                    },
                },
            },
        },
    },
    "components": {
        "schemas": {
            "Color": {"type": "string", "enum": ["red", "blue"]},
            "Paint": {
                "type": "object",
                "properties": {
                    "color": {"$ref": "#/components/schemas/Color"},
                    "coats": {"type": "integer", "description": "How many"},
                },
                "required": ["color"],
            },
        },
    },
}
COLOR = {"type": "string", "enum": ["red", "blue"]}


def test_parameters_are_the_arguments_of_a_tool() -> None:
    assert tools_of(DOCUMENT, "described")[0] == Tool(
        "getPen",
        "Find a pen",
        {
            "id": "integer, The number",
            "color": "string, optional, red|blue",
        },
        {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "description": "The number"},
                "color": {**COLOR, "description": ""},
            },
            "required": ["id"],
            "additionalProperties": False,
        },
    )


def test_fields_of_a_body_are_arguments_too() -> None:
    tool = tools_of(DOCUMENT, "named")[1]
    assert tool.arguments == {"color": "red|blue", "coats": "?"}
    assert tool.schema is not None
    assert tool.schema["required"] == ["color"]
    assert tool.schema["properties"]["color"] == COLOR


def test_references_in_a_circle_are_a_fault() -> None:
    loop = {"$ref": "#/components/schemas/Color"}
    circle = {**DOCUMENT, "components": {"schemas": {"Color": loop}}}
    with pytest.raises(ValueError, match="circle"):
        tools_of(circle, "named")


def test_an_operation_without_a_name_is_a_fault() -> None:
    with pytest.raises(KeyError, match="operationId"):
        tools_of({"paths": {"/": {"get": {}}}}, "named")
