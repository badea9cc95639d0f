# -*- coding: utf-8 -*-
"""The keywords of JSON schemas, and how those of two schemas become one.

Knows keywords that say what a value must be, not those that combine schemas.
Raises ValueError for two that cannot be joined.
"""

from collections.abc import Callable, Mapping
from typing import Any

Schema = bool | Mapping[str, Any]
Keywords = dict[str, Any]

_SCHEMA = (bool, Mapping)
_NUMBER = (int, float)

KINDS: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "enum": list,
    "const": object,
    "properties": Mapping,
    "required": list,
    "additionalProperties": _SCHEMA,
    "unevaluatedProperties": _SCHEMA,
    "patternProperties": Mapping,
    "propertyNames": _SCHEMA,
    "minProperties": int,
    "maxProperties": int,
    "items": (*_SCHEMA, list),
    "additionalItems": _SCHEMA,
    "prefixItems": list,
    "minItems": int,
    "maxItems": int,
    "uniqueItems": bool,
    "minLength": int,
    "maxLength": int,
    "pattern": str,
    "format": str,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "exclusiveMinimum": _NUMBER,
    "exclusiveMaximum": _NUMBER,
    "multipleOf": _NUMBER,
}
"""What each keyword holds. Those that are not here describe or combine."""

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
"""The types of JSON, and what their values are here."""

KEYWORDS_OF: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset(
        {
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        },
    ),
    "array": frozenset(
        {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    ),
    "object": frozenset(
        {
            "properties",
            "required",
            "additionalProperties",
            "unevaluatedProperties",
            "patternProperties",
            "propertyNames",
            "minProperties",
            "maxProperties",
        },
    ),
}
"""The keywords that mean something for values of one type alone."""

_CHANGING: Mapping[str, set[str]] = {
    "patternProperties": {"properties", "additionalProperties"},
    "prefixItems": {"items"},
}
"""Keywords that change what those others mean that stand beside them."""


def holds(keyword: str, value: object) -> bool:
    """Whether a keyword may have a value; true for unknown keywords."""
    kind = KINDS.get(keyword, object)
    if isinstance(value, bool) and kind in (int, _NUMBER):
        return False
    if keyword == "type":
        kinds = [value] if isinstance(value, str) else value
        return isinstance(kinds, list) and all(one in TYPES for one in kinds)
    return isinstance(value, kind)


def plain_keywords(schema: Mapping[str, Any]) -> Keywords:
    """What a schema itself says of values, each thing in one form."""
    plain = {key: value for key, value in schema.items() if key in KINDS}
    if isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"]]
    if "const" in plain:
        only = [plain.pop("const")]
        plain["enum"] = common_values(plain.get("enum", only), only)
    if isinstance(plain.get("items"), list):
        plain["prefixItems"] = plain["items"]
        plain["items"] = plain.get("additionalItems", True)
    plain.pop("additionalItems", None)
    return plain


def is_of(value: object, kind: str) -> bool:
    """Whether a value has a type of JSON; 2.0 is an integer there."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def types_of(keywords: Keywords) -> list[str]:
    """All types that a value may have."""
    if "type" in keywords:
        return keywords["type"]
    if "enum" in keywords:
        values = keywords["enum"]
        return [one for one in TYPES if any(is_of(v, one) for v in values)]
    return [*TYPES]


def common_types(one: list[str], other: list[str]) -> list[str]:
    """The types of both; an integer is a number too."""
    both = {*one} & {*other}
    for these, those in ((one, other), (other, one)):
        if "integer" in these and "number" in those and "number" not in both:
            both.add("integer")
    return [kind for kind in TYPES if kind in both]


def common_values(one: list[Any], other: list[Any]) -> list[Any]:
    """The values in both; true is not 1."""
    return [
        value
        for value in one
        if any(
            value == that and isinstance(value, bool) == isinstance(that, bool)
            for that in other
        )
    ]


def joined(one: Keywords, other: Keywords) -> Keywords | None:
    """The keywords that say what both say.

    Returns:
        `Keywords | None`: None where no value fits both.

    Raises:
        `ValueError`: Two of them cannot be joined; says which.
    """
    _check_joinable(one, other)
    one, other = _closed(one, other), _closed(other, one)
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if one[key] == other[key]:
            continue
        if key not in _JOINED:
            raise ValueError(f"more than one {key!r} at once")
        both[key] = _JOINED[key](one[key], other[key])
    if both.get("type") == [] or both.get("enum") == []:
        return None
    return both


def _check_joinable(one: Keywords, other: Keywords) -> None:
    for key, changed in _CHANGING.items():
        for these, those in ((one, other), (other, one)):
            if key in these and changed & those.keys():
                raise ValueError(
                    f"{key!r} together with another part's "
                    f"{min(changed & those.keys())!r}",
                )


def _closed(one: Keywords, other: Keywords) -> Keywords:
    """Say of the other's properties what is said of unknown ones."""
    rest = one.get("additionalProperties", True)
    unknown = dict.fromkeys(other.get("properties", ()), rest)
    if rest is True or not unknown:
        return one
    return {**one, "properties": {**unknown, **one.get("properties", {})}}


def _common_properties(
    one: Mapping[str, Schema],
    other: Mapping[str, Schema],
) -> dict[str, Schema]:
    return {
        name: _all_of(one.get(name, True), other.get(name, True))
        for name in {**one, **other}
    }


def _all_of(one: Schema, other: Schema) -> Schema:
    if one == other or other is True:
        return one
    return other if one is True else {"allOf": [one, other]}


def _all_names(one: list[str], other: list[str]) -> list[str]:
    return [*dict.fromkeys([*one, *other])]


_JOINED: Mapping[str, Callable[[Any, Any], Any]] = {
    "type": common_types,
    "enum": common_values,
    "properties": _common_properties,
    "required": _all_names,
    "additionalProperties": _all_of,
    "unevaluatedProperties": _all_of,
    "propertyNames": _all_of,
    "items": _all_of,
    "uniqueItems": max,
    "minProperties": max,
    "maxProperties": min,
    "minItems": max,
    "maxItems": min,
    "minLength": max,
    "maxLength": min,
    "minimum": max,
    "maximum": min,
    "exclusiveMinimum": max,
    "exclusiveMaximum": min,
}
"""How two keywords of one name become one."""
