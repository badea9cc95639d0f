# -*- coding: utf-8 -*-
"""A small table of facts: countries, planets, elements, mountains, rivers.

Finds the value of a field by name, and names by a field's value. Reads one
file, once. Raises DatasetError for a file that is no table, ValueError for
what the table does not have.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_llm.errors import DatasetError

KNOWLEDGE = Path(__file__).resolve().parents[1] / "data" / "knowledge.json"

_ALIKE = 0.75
"""From which likeness on a name is taken for a slip: not Narnia, Argentina."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known.

    Attributes:
        facts (`Mapping[str, Mapping[str, str]]`):
            Values by field, by name; numbers with their unit: `"8849 m"`.
    """

    facts: Mapping[str, Mapping[str, str]]

    def value(self, name: str, field: str) -> str:
        """A field of something.

        Args:
            name (`str`):
                Of a country, planet, element, mountain or river, in any case.
            field (`str`):
                One of those that its kind has.

        Raises:
            `ValueError`: The name or the field is unknown; says what is near.
        """
        known = _match(name, self.facts)
        if known is None:
            raise _unknown("name", name, self.facts)
        values = self.facts[known]
        found = _match(field, values)
        if found is None:
            raise ValueError(
                f"{known} has no {field}, it has {', '.join(values)}",
            )
        return values[found]

    def names(self, field: str, value: str) -> list[str]:
        """Who has this value in a field, in the order of the file.

        Args:
            field (`str`):
                A field of any kind.
            value (`str`):
                Its value, in any case.

        Raises:
            `ValueError`: No kind has the field, or nobody the value.
        """
        fields = list(dict.fromkeys(f for v in self.facts.values() for f in v))
        known = _match(field, fields)
        if known is None:
            raise ValueError(
                f"unknown field {field}, use one of {', '.join(fields)}",
            )
        having = {n: v[known] for n, v in self.facts.items() if known in v}
        found = _match(value, having.values())
        if found is None:
            raise _unknown(known, value, having.values())
        return [name for name, one in having.items() if one == found]


def load_knowledge(path: Path = KNOWLEDGE) -> Knowledge:
    """Read a table.

    Args:
        path (`Path`, optional):
            A JSON object: by kind `fields`, unit or null by field, and
            `rows`, a list of values in that order by name.

    Raises:
        `DatasetError`: There is no such file, or it holds something else.
    """
    try:
        kinds = json.loads(path.read_text(encoding="utf-8"))
        facts = {
            name: _with_units(kind["fields"], row)
            for kind in kinds.values()
            for name, row in kind["rows"].items()
        }
    except OSError as error:
        raise DatasetError(
            f"{path}: {error.strerror}",
            fix="take data/knowledge.json from the project's repository",
        ) from error
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}: no table of facts, {type(error).__name__}: {error}",
            fix="give fields and rows as in data/knowledge.json",
        ) from error
    return Knowledge(facts)


def _with_units(
    units: Mapping[str, str | None],
    row: list[str | int | float],
) -> dict[str, str]:
    return {
        field: f"{value} {unit}" if unit else str(value)
        for (field, unit), value in zip(units.items(), row, strict=True)
    }


def _match(wanted: str, known: Iterable[str]) -> str | None:
    plain = wanted.strip().casefold()
    return next((one for one in known if one.casefold() == plain), None)


def _unknown(kind: str, wanted: str, known: Iterable[str]) -> ValueError:
    by_plain = {one.casefold(): one for one in known}
    # A part that people say for the whole: Everest for Mount Everest.
    near = [one for one in by_plain if wanted.casefold() in one.split()]
    near += difflib.get_close_matches(wanted.casefold(), by_plain, 1, _ALIKE)
    hint = f", did you mean {by_plain[near[0]]}?" if near else ""
    return ValueError(f"unknown {kind} {wanted}{hint}")
