# -*- coding: utf-8 -*-
"""Takes a JSON schema apart into alternatives without anything to look up.

References, `allOf`, `anyOf` and `oneOf` are resolved; what is left are plain
keywords, all of which hold. Knows no grammars and no models. Raises ConfigError
for a schema that cannot be taken apart without a guess.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from .errors import ConfigError
from .schema_keywords import (
    Keywords,
    Schema,
    common_types,
    common_values,
    holds,
    joined,
    plain_keywords,
    types_of,
)

MOST_PARTS = 5000
"""Parts and combinations of parts, above which a schema is too large."""

_COMBINING = {"$ref": str, "allOf": list, "anyOf": list, "oneOf": list}

_UNSUPPORTED = (
    "not",
    "if",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a schema one is.

    Attributes:
        path (`str`):
            The keys from the root, for messages.
        references (`tuple[str, ...]`):
            The references that led here, from the root on.
    """

    path: str = ""
    references: tuple[str, ...] = ()

    def at(self, *keys: object) -> "Place":
        """A place below this one."""
        below = "".join(f"/{key}" for key in keys)
        return replace(self, path=f"{self.path}{below}")


Alternative = tuple[Keywords, Place]


class SchemaParts:
    """Takes one schema apart.

    Args:
        root (`Schema`):
            The whole schema; references are looked up in it.
        where (`str`):
            What it belongs to, for messages.
        recursion (`int`):
            How often a definition may stand inside itself; further in, no
            value fits it.
    """

    def __init__(self, root: Schema, where: str, recursion: int) -> None:
        self.root = root
        self._where = where
        self._recursion = recursion
        self._parts = 0

    def alternatives(self, schema: object, place: Place) -> list[Alternative]:
        """What values may be: all keywords of one of these must hold.

        Args:
            schema (`object`):
                The root or a part of it.
            place (`Place`):
                Where it stands.

        Returns:
            `list[Alternative]`: Empty where no value fits.

        Raises:
            `ConfigError`: A keyword is malformed or not supported, or two
                of one name cannot be joined.
        """
        self._count(place)
        if isinstance(schema, bool):
            return [({}, place)] if schema else []
        if not isinstance(schema, Mapping):
            raise self.problem(place, f"a schema is wanted, not {schema!r}")
        self._check(schema, place)
        found = [(plain_keywords(schema), place)]
        for options in self._combined(schema, place):
            found = self._join(found, options)
        return found

    def problem(self, place: Place, text: str) -> ConfigError:
        """An error at a place of this schema."""
        return ConfigError(
            self._where,
            [f"schema {place.path or '/'}: {text}"],
            fix="change the schema, or do without constrained replies",
        )

    # -- steps -----------------------------------------------------------

    def _count(self, place: Place) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise self.problem(place, "the schema is too large")

    def _check(self, schema: Mapping[str, Any], place: Place) -> None:
        for key in _UNSUPPORTED:
            if key in schema:
                raise self.problem(place, f"{key!r} is not supported")
        for key, value in schema.items():
            is_fine = isinstance(value, _COMBINING.get(key, object))
            if not (is_fine and holds(key, value)):
                raise self.problem(place, f"{key!r} cannot be {value!r}")

    def _combined(
        self,
        schema: Mapping[str, Any],
        place: Place,
    ) -> Iterator[list[Alternative]]:
        """What each combining keyword leaves."""
        if "$ref" in schema:
            yield self._referenced(schema["$ref"], place)
        for index, part in enumerate(schema.get("allOf", ())):
            yield self.alternatives(part, place.at("allOf", index))
        for key in ("anyOf", "oneOf"):
            if key not in schema:
                continue
            branches = [
                self.alternatives(part, place.at(key, index))
                for index, part in enumerate(schema[key])
            ]
            if key == "oneOf":
                self._check_apart(branches, place)
            yield [*itertools.chain.from_iterable(branches)]

    def _referenced(self, reference: str, place: Place) -> list[Alternative]:
        if not reference.startswith("#"):
            raise self.problem(place, f"{reference!r} is outside the schema")
        if reference != "#" and not reference.startswith("#/"):
            raise self.problem(
                place, f"{reference!r} is no path from the root"
            )
        references = (*place.references, reference)
        again = len(references) - len({*references})
        if reference in place.references and again > self._recursion:
            return []
        target: Any = self.root
        for key in unquote(reference).split("/")[1:]:
            target = _below(target, key)
        if target is None:
            raise self.problem(place, f"there is no {reference!r}")
        return self.alternatives(target, replace(place, references=references))

    def _join(
        self,
        some: list[Alternative],
        others: list[Alternative],
    ) -> list[Alternative]:
        """Each of these together with each of those."""
        found = []
        for (one, place), (other, there) in itertools.product(some, others):
            self._count(place)
            references = max(place.references, there.references, key=len)
            at = Place(place.path, references)
            try:
                both = joined(one, other)
            except ValueError as error:
                raise self.problem(at, str(error)) from error
            if both is not None:
                found.append((both, at))
        return found

    def _check_apart(
        self,
        branches: list[list[Alternative]],
        place: Place,
    ) -> None:
        """See that no value fits two branches of a `oneOf`."""
        for some, others in itertools.combinations(branches, 2):
            if not _all_pairs(some, others, self._are_apart):
                raise self.problem(
                    place,
                    "more than one part of 'oneOf' may hold at once; use "
                    "'anyOf', or give each part a 'const' of its own",
                )

    def _are_apart(self, one: Alternative, other: Alternative) -> bool:
        """Whether it is certain that no value fits both."""
        (these, place), (those, there) = one, other
        if "enum" in these and "enum" in those:
            return not common_values(these["enum"], those["enum"])
        types = types_of(these), types_of(those)
        if not common_types(*types):
            return True
        if types != (["object"], ["object"]):
            return False
        return any(
            _all_pairs(
                self.alternatives(these["properties"][name], place),
                self.alternatives(those["properties"][name], there),
                self._are_apart,
            )
            for name in _always_there(these) & _always_there(those)
        )


def _always_there(keywords: Keywords) -> set[str]:
    """The required properties of which something is said."""
    return {*keywords.get("required", ())} & {*keywords.get("properties", ())}


def _all_pairs(
    some: list[Alternative],
    others: list[Alternative],
    holds_for: Callable[[Alternative, Alternative], bool],
) -> bool:
    return all(
        holds_for(one, other) for one, other in itertools.product(some, others)
    )


def _below(target: object, key: str) -> Any:
    """What stands under a key of a JSON pointer, None if nothing."""
    key = key.replace("~1", "/").replace("~0", "~")
    if isinstance(target, list):
        named = dict(enumerate(target))
        return named.get(int(key)) if key.isdecimal() else None
    return target.get(key) if isinstance(target, Mapping) else None
