# -*- coding: utf-8 -*-
"""Types of JSON values, read from Python annotations.

Judges a value, says in words what is wanted, and writes JSON Schema.
What it cannot judge it accepts; raises nothing on any value.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Choice = str | int | bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One alternative of a type, by its JSON name.

    Args:
        name (`str`): "null", "boolean", "integer", "number", "string",
            "array", "object", "choice" or "any".
        items (`tuple[Kind, ...]`, optional): What the members of an array
            or the values of an object may be; empty for anything.
        choices (`tuple[Choice, ...]`, optional): The only values.
    """

    name: str
    items: tuple["Kind", ...] = ()
    choices: tuple[Choice, ...] = ()


_NAMES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "Path": "string",
    "dict": "object",
    "Dict": "object",
    "list": "array",
    "List": "array",
    "tuple": "array",
}


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


_WORDS = {
    "null": ("null", "nulls"),
    "boolean": ("true or false", "true or false"),
    "integer": ("an integer", "integers"),
    "number": ("a number", "numbers"),
    "string": ("a string", "strings"),
    "array": ("a list", "lists"),
    "object": ("an object", "objects"),
    "any": ("anything", "anything"),
}


def parse_annotation(annotation: str) -> tuple[Kind, ...]:
    """What an annotation accepts.

    Args:
        annotation (`str`): Python source, such as "list[str] | None".
    """
    return kinds_of(ast.parse(annotation, mode="eval").body, {})


def accepts(kinds: tuple[Kind, ...], value: object) -> bool:
    """Whether a JSON value has one of the kinds; a boolean is no integer.

    Args:
        kinds (`tuple[Kind, ...]`): The alternatives.
        value (`object`): What the config holds.
    """
    return any(_fits(kind, value) for kind in kinds)


def described(kinds: tuple[Kind, ...]) -> str:
    """The kinds in words, for a message: "an integer or null".

    Args:
        kinds (`tuple[Kind, ...]`): The alternatives.
    """
    words = []
    for kind in kinds:
        text = _WORDS.get(kind.name, ("", ""))[0]
        if kind.choices:
            several = "one of " if kind.choices[1:] else ""
            text = several + ", ".join(map(_json_text, kind.choices))
        elif kind.items and kind.items != (Kind("any"),):
            text = f"{text} of {_members(kind.items)}"
        if text not in words:
            words.append(text)
    return " or ".join(words)


def _members(kinds: tuple[Kind, ...]) -> str:
    """The kinds in words, in the plural."""
    words = (
        described((kind,)) if kind.choices else _WORDS[kind.name][1]
        for kind in kinds
    )
    return " or ".join(words)


def kinds_schema(kinds: tuple[Kind, ...]) -> dict[str, Any]:
    """The kinds as a JSON Schema.

    Args:
        kinds (`tuple[Kind, ...]`): The alternatives.
    """
    if any(kind.name == "any" for kind in kinds):
        return {}
    schemas = [_kind_schema(kind) for kind in kinds]
    if all(list(schema) == ["type"] for schema in schemas):
        types = list(dict.fromkeys(schema["type"] for schema in schemas))
        return {"type": types[0] if len(types) == 1 else types}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _kind_schema(kind: Kind) -> dict[str, Any]:
    if kind.choices:
        families = [text for text in kind.choices if "[" in str(text)]
        names = [text for text in kind.choices if text not in families]
        schemas = [{"enum": names}, *map(_family_schema, families)]
        return {"anyOf": schemas} if families else {"enum": names}
    schema: dict[str, Any] = {"type": kind.name}
    if kind.items and all(item.name != "any" for item in kind.items):
        key = "items" if kind.name == "array" else "additionalProperties"
        schema[key] = kinds_schema(kind.items)
    return schema


def _family_schema(family: Choice) -> dict[str, Any]:
    # "pissa_niter_[number of iters]" stands for a family of names.
    start = str(family).split("[")[0]
    return {"type": "string", "pattern": f"^{start}"}


def _fits(kind: Kind, value: object) -> bool:
    if kind.name == "any":
        return True
    if kind.choices:
        return any(_is_choice(value, choice) for choice in kind.choices)
    if isinstance(value, bool) and kind.name != "boolean":
        return False
    if not isinstance(value, _PYTHON_TYPES[kind.name]):
        return False
    if not kind.items:
        return True
    members = value.values() if isinstance(value, dict) else value
    return isinstance(members, Iterable) and all(
        accepts(kind.items, member) for member in members
    )


def _is_choice(value: object, choice: Choice) -> bool:
    if not isinstance(choice, str):
        return value is choice or (
            type(value) is type(choice) and value == choice
        )
    if not isinstance(value, str):
        return False
    family = choice.split("[")[0]
    return value == choice or ("[" in choice and value.startswith(family))


def _json_text(choice: Choice) -> str:
    return str(choice).lower() if isinstance(choice, bool) else repr(choice)


def literals(node: ast.expr) -> tuple[Choice, ...]:
    """The constants that a literal, list or tuple of the source holds.

    Args:
        node (`ast.expr`): The expression; any other kind holds none.
    """
    members = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return tuple(
        member.value
        for member in members
        if isinstance(member, ast.Constant)
        and isinstance(member.value, str | int)
    )


def kinds_of(
    node: ast.expr,
    enums: Mapping[str, tuple[str, ...]],
) -> tuple[Kind, ...]:
    """What a parsed annotation accepts.

    Args:
        node (`ast.expr`): The annotation.
        enums (`Mapping[str, tuple[str, ...]]`): The names of the enums that
            it may mention, and their values.
    """
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        both = kinds_of(node.left, enums) + kinds_of(node.right, enums)
        return _narrowed(both)
    if isinstance(node, ast.Constant) and node.value is None:
        return (Kind("null"),)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return kinds_of(ast.parse(node.value, mode="eval").body, enums)
    if isinstance(node, ast.Subscript):
        return _subscript_kinds(node, enums)
    if isinstance(node, ast.Name) and node.id in enums:
        return (Kind("choice", choices=enums[node.id]),)
    name = getattr(node, "id", "")
    return (Kind(_NAMES.get(name, "any")),)


def _subscript_kinds(
    node: ast.Subscript,
    enums: Mapping[str, tuple[str, ...]],
) -> tuple[Kind, ...]:
    outer = getattr(node.value, "id", getattr(node.value, "attr", ""))
    inner = node.slice
    members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        choices = literals(inner)
        return (Kind("choice" if choices else "any", choices=choices),)
    if outer == "Optional":
        return (*kinds_of(inner, enums), Kind("null"))
    kinds = [kinds_of(member, enums) for member in members]
    if outer == "Union":
        return _narrowed(tuple(kind for group in kinds for kind in group))
    name = _NAMES.get(outer, "any")
    items = kinds[-1] if name in ("array", "object") else ()
    return (Kind(name, items=items),)


def _narrowed(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    # `SchedulerType | str` means the names of the enum: the library turns
    # the string into the enum, and fails on any other.
    names = [choice for kind in kinds for choice in kind.choices]
    if any(isinstance(choice, str) for choice in names):
        return tuple(kind for kind in kinds if kind.name != "string")
    return kinds
