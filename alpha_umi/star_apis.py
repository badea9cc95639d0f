# -*- coding: utf-8 -*-
"""The APIs of STAR, which are the tools, and the values of their queries.

Knows no dialogues. Raises DatasetError for a schema that cannot be read, and
ValueError for a query whose values are not plain.
"""

import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from local_llm.errors import DatasetError

from .protocol import Tool
from .reading import faults_named
from .tool_texts import ArgumentTexts, argument_text, description_text

ARCHIVE = "apis_tasks.tar.gz"

_FOLDER = "apis/apis"
"""Of the schemas, in the archive and in the published dataset."""

_LARGEST_SCHEMA_BYTES = 1 << 20

_JSON_TYPES = {"Integer": "integer", "Boolean": "boolean"}
"""Of arguments by the dataset's types; all others are strings."""

FREE_TEXT = "LongString"
"""The type of what may be said in any words."""

_PLAIN = re.compile(r"api\.(?:is_equal_to|contains)\((.*)\)", re.DOTALL)
"""Conditions that say no more than a value does."""

_CONSTANTS = {"True": True, "False": False}

_NO_WORDS = ("generic_sample",)
"""Names of functions that say nothing of an API."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What a query can ask for.

    Attributes:
        name (`str`):
            Its name.
        kind (`str`):
            Its type, by the dataset's name.
        description (`str`):
            What it is.
        values (`tuple[str, ...]`):
            All that it may be, empty where that is not limited.
        is_required (`bool`):
            Whether every query has it.
    """

    name: str
    kind: str
    description: str
    values: tuple[str, ...]
    is_required: bool

    @property
    def schema(self) -> dict[str, Any]:
        """Of its values, as JSON schema."""
        among = {"enum": list(self.values)} if self.values else {}
        return {"type": self.json_type, **among}

    @property
    def json_type(self) -> str:
        """The type of its values in a call."""
        return _JSON_TYPES.get(self.kind, "string")


@dataclass(frozen=True, slots=True)
class Api:
    """An API: its name, what it does, and its arguments by name."""

    name: str
    description: str
    arguments: Mapping[str, Argument]

    def as_tool(self, texts: ArgumentTexts) -> Tool:
        """The tool, with the schema of its arguments."""
        arguments = self.arguments.values()
        return Tool(
            self.name,
            description_text(texts, self.description),
            {
                one.name: argument_text(
                    texts,
                    one.json_type,
                    one.values,
                    one.description,
                    not one.is_required,
                )
                for one in arguments
            },
            {
                "type": "object",
                "properties": {one.name: one.schema for one in arguments},
                "required": [one.name for one in arguments if one.is_required],
                "additionalProperties": False,
            },
        )

    def read_query(
        self,
        constraints: Sequence[Mapping[str, str]],
    ) -> dict[str, Any]:
        """The arguments of a query.

        Args:
            constraints (`Sequence[Mapping[str, str]]`):
                Each with a name and a value as the dataset writes it:
                `"\\"Alexis\\""`, `"3"`, `"api.is_equal_to(\\"cheap\\")"`.

        Raises:
            `KeyError`: The API has no such argument.
            `ValueError`: A value is no plain one, a name stands twice, or a
                required argument lacks.
        """
        pairs = [pair for one in constraints for pair in one.items()]
        arguments = {
            name: _value(self.arguments[name], text) for name, text in pairs
        }
        required = {n for n, one in self.arguments.items() if one.is_required}
        if len(arguments) < len(pairs) or not required <= arguments.keys():
            raise ValueError("a name stands twice, or a required one lacks")
        return arguments


def read_apis(folder: Path) -> dict[str, Api]:
    """The APIs by name.

    Args:
        folder (`Path`):
            With `apis_tasks.tar.gz`, or with `apis/apis` as published.

    Raises:
        `DatasetError`: There are none, or one cannot be read.
    """
    apis: dict[str, Api] = {}
    for where, name, content in _files(folder):
        with faults_named(where, "API of STAR", _FIX):
            apis[name] = _api(name, json.loads(content))
    if not apis:
        raise DatasetError(f"{folder} has no {ARCHIVE}", fix=_FIX)
    return apis


def _files(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Where each schema stands, its name, and what it holds."""
    if not (folder / ARCHIVE).is_file():
        for path in sorted((folder / _FOLDER).glob("*.json")):
            yield str(path), path.stem, path.read_bytes()
        return
    archive = folder / ARCHIVE
    try:
        with tarfile.open(archive) as members:
            for member in members:
                path = PurePosixPath(member.name)
                if path.match(f"{_FOLDER}/*.json") and member.isfile():
                    stream = members.extractfile(member)
                    content = stream.read(_LARGEST_SCHEMA_BYTES)
                    yield f"{archive}:{path}", path.stem, content
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DatasetError(
            f"{archive} is no complete archive: {error}",
            fix="fetch it again",
        ) from error


def _api(name: str, raw: Mapping[str, Any]) -> Api:
    words = str(raw["function"])
    said = (name if words in _NO_WORDS else words).replace("_", " ")
    outputs = ", ".join(one["ReadableName"] for one in raw["output"])
    return Api(
        name,
        f"{said}. Gives {outputs}" if outputs else said,
        {
            one["Name"]: Argument(
                one["Name"],
                one["Type"],
                one["ReadableName"],
                tuple(one.get("Categories", ())),
                one["Name"] in raw["required"],
            )
            for one in raw["input"]
        },
    )


def _value(argument: Argument, text: str) -> Any:
    if plain := _PLAIN.fullmatch(text):
        text = plain[1]
    if argument.json_type == "string" and not text.startswith(('"', "[")):
        value: Any = text
    else:
        value = _CONSTANTS[text] if text in _CONSTANTS else json.loads(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    types = {"string": str, "integer": int, "boolean": bool}
    if type(value) is not types[argument.json_type]:
        raise ValueError(f"{argument.name} is {text}")
    value = value.strip() if isinstance(value, str) else value
    if argument.values and value not in argument.values:
        raise ValueError(f"{argument.name} may not be {text}")
    return value


_FIX = f"give the folder of STAR with {ARCHIVE}, or with {_FOLDER}"
