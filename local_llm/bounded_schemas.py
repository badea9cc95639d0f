# -*- coding: utf-8 -*-
"""Narrows a JSON schema to one whose values have a known greatest length.

All that fits the narrow schema fits the wide one; long strings, long arrays,
properties that nobody has named and deep recursion are left out, so that a weak
model cannot write for ever. Knows no grammars and no models. Raises ConfigError.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .bounded_values import (
    KEY_CHARACTERS,
    Bounded,
    bounded_choice,
    bounded_integer,
    bounded_number,
    bounded_string,
    is_writable,
)
from .schema_keywords import KEYWORDS_OF, Keywords, Schema
from .schema_parts import Place, SchemaParts

_SCALARS = ("string", "number", "boolean", "null")

_MOST_SETS = 256
"""How many arrays are listed where no value may come twice."""


@dataclass(frozen=True, slots=True)
class SchemaLimits:
    """How long values are where a schema does not demand more.

    Attributes:
        characters (`int`):
            Of a string.
        item_characters (`int`):
            Of a string inside an array, or inside an object that does not
            name its properties.
        items (`int`):
            Of such an array or object.
        nested_items (`int`):
            The same inside another one.
        recursion (`int`):
            How often a definition may stand inside itself.
    """

    characters: int = 256
    item_characters: int = 64
    items: int = 8
    nested_items: int = 4
    recursion: int = 2


USUAL_LIMITS = SchemaLimits()
"""Room for the longest arguments of ToolBench: 193 characters."""


def bounded_schema(
    schema: Schema,
    where: str,
    limits: SchemaLimits = USUAL_LIMITS,
) -> Bounded:
    """Narrow a schema until the length of its values is known.

    Args:
        schema (`Schema`):
            Any JSON schema whose references stay inside it.
        where (`str`):
            What it belongs to, for messages.
        limits (`SchemaLimits`, optional):
            How long values may be.

    Returns:
        `Bounded`: A schema without references, whose objects are closed.

    Raises:
        `ConfigError`: The schema is malformed, uses keywords that are not
            supported, or has no value within the limits.
    """
    parts = SchemaParts(schema, where, limits.recursion)
    bounded = _Narrowing(parts, limits).narrow(schema, Place())
    if bounded is None:
        raise parts.problem(Place(), "no value fits it")
    return bounded


class _Narrowing:
    """Narrows the parts of one schema."""

    def __init__(self, parts: SchemaParts, limits: SchemaLimits) -> None:
        self._parts = parts
        self._limits = limits
        self._by_type: Mapping[
            str,
            Callable[[Keywords, Place, bool], Bounded | None],
        ] = {
            "string": self._string,
            "integer": lambda keywords, *_: bounded_integer(keywords),
            "number": lambda keywords, *_: bounded_number(keywords),
            "boolean": lambda *_: {"type": "boolean"},
            "null": lambda *_: {"type": "null"},
            "array": self._array,
            "object": self._object,
        }

    def narrow(
        self,
        schema: object,
        place: Place,
        is_item: bool = False,
    ) -> Bounded | None:
        """The bounded form of a part; None where no value fits.

        Args:
            schema (`object`):
                The part.
            place (`Place`):
                Where it stands.
            is_item (`bool`, optional):
                Whether there may be many such values.
        """
        options: list[Bounded] = []
        for keywords, at in self._parts.alternatives(schema, place):
            for option in self._options(keywords, at, is_item):
                if option is not None and option not in options:
                    options.append(option)
        if len(options) > 1:
            return {"anyOf": options}
        return options[0] if options else None

    def _options(
        self,
        keywords: Keywords,
        place: Place,
        is_item: bool,
    ) -> Iterator[Bounded | None]:
        """One for each type that the value may have."""
        if "enum" in keywords:
            self._check_choice(keywords, place)
            yield bounded_choice(keywords)
            return
        for kind in _wanted_types(keywords, is_item):
            yield self._by_type[kind](keywords, place, is_item)

    def _check_choice(self, keywords: Keywords, place: Place) -> None:
        beside = keywords.keys() & {
            *KEYWORDS_OF["array"],
            *KEYWORDS_OF["object"],
        }
        if beside:
            raise self._parts.problem(place, f"{min(beside)!r} beside 'enum'")

    def _string(
        self,
        keywords: Keywords,
        place: Place,
        is_item: bool,
    ) -> Bounded | None:
        limits = self._limits
        limit = limits.item_characters if is_item else limits.characters
        return bounded_string(keywords, limit)

    def _most_items(self, is_item: bool) -> int:
        limits = self._limits
        return limits.nested_items if is_item else limits.items

    # -- arrays ----------------------------------------------------------

    def _array(
        self,
        keywords: Keywords,
        place: Place,
        is_item: bool,
    ) -> Bounded | None:
        first, rest = self._items(keywords, place)
        least = keywords.get("minItems", 0)
        most = max(self._most_items(is_item), least, len(first))
        most = min(most, keywords.get("maxItems", most))
        if rest is None:
            most = min(most, len(first))
        if most < least:
            return None
        if keywords.get("uniqueItems"):
            return self._set(first, rest, (least, most), place)
        return _array_of(first, rest, least, most)

    def _items(
        self,
        keywords: Keywords,
        place: Place,
    ) -> tuple[list[Bounded], Bounded | None]:
        """The first items, each of its kind, and what may follow them."""
        first = []
        for index, part in enumerate(keywords.get("prefixItems", ())):
            one = self.narrow(part, place.at("prefixItems", index), True)
            if one is None:
                return first, None
            first.append(one)
        items = keywords.get("items", True)
        return first, self.narrow(items, place.at("items"), True)

    def _set(
        self,
        first: Sequence[Bounded],
        rest: Bounded | None,
        sizes: tuple[int, int],
        place: Place,
    ) -> Bounded | None:
        """An array without equal items: choices among listed values, in
        their order; of others one item at most."""
        least, most = sizes
        if not first and rest is not None and rest.keys() == {"enum"}:
            values = rest["enum"]
            choices = itertools.chain.from_iterable(
                itertools.combinations(values, size)
                for size in range(least, min(most, len(values)) + 1)
            )
            some = itertools.islice(choices, _MOST_SETS)
            return bounded_choice({"enum": [[*one] for one in some]})
        if least > 1:
            raise self._parts.problem(place, "'uniqueItems' of such items")
        return _array_of(first, rest, least, min(most, 1))

    # -- objects ---------------------------------------------------------

    def _object(
        self,
        keywords: Keywords,
        place: Place,
        is_item: bool,
    ) -> Bounded | None:
        properties, rest = self._properties(keywords, place)
        is_map = not properties and "properties" not in keywords
        if is_map and rest is not False:
            return self._map(rest, keywords, place, is_item)
        found = {}
        for name, part in properties.items():
            one = self.narrow(part, place.at("properties", name), is_item)
            if one is not None and is_writable(name):
                found[name] = one
        return _record(found, keywords)

    def _properties(
        self,
        keywords: Keywords,
        place: Place,
    ) -> tuple[dict[str, Schema], Schema]:
        """All that is said of properties with a name, and of the others."""
        rest = keywords.get("unevaluatedProperties", True)
        rest = keywords.get("additionalProperties", rest)
        named = dict(keywords.get("properties", {}))
        for name in keywords.get("required", ()):
            named.setdefault(name, rest)
        if "propertyNames" in keywords:
            allowed = self._names(keywords["propertyNames"], place)
            named = {name: named.get(name, rest) for name in allowed}
            rest = False
        if "patternProperties" in keywords:
            named = self._with_patterns(named, keywords, place)
            rest = False
        return named, rest

    def _names(self, schema: Schema, place: Place) -> list[str]:
        """The names that the keys of an object are limited to."""
        names: list[str] = []
        at = place.at("propertyNames")
        for keywords, there in self._parts.alternatives(schema, at):
            if keywords.keys() - {"type"} != {"enum"}:
                raise self._parts.problem(there, "only 'enum' is supported")
            names += [one for one in keywords["enum"] if isinstance(one, str)]
        return names

    def _with_patterns(
        self,
        named: Mapping[str, Schema],
        keywords: Keywords,
        place: Place,
    ) -> dict[str, Schema]:
        """Properties with what is said of them by patterns of their names."""
        patterns = keywords["patternProperties"]
        if not named:
            raise self._parts.problem(
                place,
                "'patternProperties' without 'properties' is not supported",
            )
        try:
            return {
                name: {"allOf": [part, *_matching(patterns, name)]}
                for name, part in named.items()
            }
        except re.error as error:
            raise self._parts.problem(place, f"a pattern: {error}") from error

    def _map(
        self,
        values: Schema,
        keywords: Keywords,
        place: Place,
        is_item: bool,
    ) -> Bounded | None:
        """An object whose keys are not named."""
        least = keywords.get("minProperties", 0)
        if least > 1:
            # A grammar does not see that a key comes for the second time.
            raise self._parts.problem(place, "'minProperties' above 1")
        limit = self._most_items(is_item)
        most = min(keywords.get("maxProperties", limit), limit)
        at = place.at("additionalProperties")
        value = self.narrow(values, at, True)
        if value is None or most < 1:
            return _record({}, keywords)
        return {
            "type": "object",
            "patternProperties": {f"^.{{1,{KEY_CHARACTERS}}}$": value},
            "additionalProperties": False,
            "minProperties": least,
            "maxProperties": most,
        }


def _wanted_types(keywords: Keywords, is_item: bool) -> Sequence[str]:
    """The types that a value gets: all that are named, else those of which
    something is said, else any."""
    if "type" in keywords:
        return keywords["type"]
    meant = [
        kind for kind in KEYWORDS_OF if KEYWORDS_OF[kind] & keywords.keys()
    ]
    return meant or (_SCALARS if is_item else (*_SCALARS, "array", "object"))


def _array_of(
    first: Sequence[Bounded],
    rest: Bounded | None,
    least: int,
    most: int,
) -> Bounded:
    return {
        "type": "array",
        **({"prefixItems": [*first]} if first else {}),
        "items": False if rest is None else rest,
        "minItems": least,
        "maxItems": most,
    }


def _record(
    properties: Mapping[str, Bounded],
    keywords: Keywords,
) -> Bounded | None:
    """An object with these properties and no others.

    Where it must have more of them than are required, the first optional ones
    are required too; where it may have fewer than there are, the last ones are
    left out.
    """
    required = [*dict.fromkeys(keywords.get("required", ()))]
    optional = [name for name in properties if name not in required]
    missing = max(0, keywords.get("minProperties", 0) - len(required))
    room = keywords.get("maxProperties", len(properties)) - len(required)
    if not properties.keys() >= {*required} or room < missing:
        return None
    if len(optional) < missing:
        return None
    kept = {*required, *optional[:room]}
    return {
        "type": "object",
        "properties": {k: v for k, v in properties.items() if k in kept},
        "required": [*required, *optional[:missing]],
        "additionalProperties": False,
    }


def _matching(patterns: Mapping[str, Schema], name: str) -> list[Schema]:
    return [
        schema
        for pattern, schema in patterns.items()
        if re.search(pattern, name)
    ]
