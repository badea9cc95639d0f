# -*- coding: utf-8 -*-
"""The bounds of single values in JSON schemas, and the greatest length of all.

Strings, numbers and listed values; arrays and objects are put together
elsewhere. Knows no grammars and no models. Raises nothing.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from .schema_keywords import TYPES, Keywords, is_of

Bounded = dict[str, Any]

FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
        "uri",
    },
)
"""What llguidance holds a string to; other formats only describe."""

FORMAT_CHARACTERS = 64
"""Room for a string of some format where strings must be shorter."""

KEY_CHARACTERS = 32
"""The longest key of an object that does not name its properties."""

_ABOVE, _BELOW = "exclusiveMinimum", "exclusiveMaximum"
_LARGEST_INTEGER = 10**15 - 1
_LARGEST_NUMBER = 10**9 - 1
_DECIMALS = 6
_MOST_DECIMALS = 10
"""llguidance divides by no smaller step."""

_DIGITS = 15
"""Decimal digits that every double keeps."""

_UNWRITABLE = re.compile("[\x00-\x07\x0b\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that only a numeric escape can write, which grammars here do
without: one character would take six tokens."""


def bounded_string(keywords: Keywords, limit: int) -> Bounded | None:
    """A string of at most so many characters, more where it must have more.

    Returns:
        `Bounded | None`: None where no string fits.
    """
    kept = taken(keywords, "minLength", "pattern", "format")
    if kept.get("format") in FORMATS:
        limit = max(limit, FORMAT_CHARACTERS)
    else:
        kept.pop("format", None)
    least = keywords.get("minLength", 0)
    most = min(keywords.get("maxLength", math.inf), max(limit, least))
    if most < least:
        return None
    return {"type": "string", **kept, "maxLength": most}


def bounded_integer(keywords: Keywords) -> Bounded | None:
    """An integer between two others; None where there is none."""
    least, most = _range(keywords, _LARGEST_INTEGER)
    low, high = math.ceil(least), math.floor(most)
    low += low == keywords.get(_ABOVE)
    high -= high == keywords.get(_BELOW)
    if low > high:
        return None
    kept = taken(keywords, "multipleOf")
    return {"type": "integer", **kept, "minimum": low, "maximum": high}


def bounded_number(keywords: Keywords) -> Bounded | None:
    """A number with few decimals between two others; None where there is
    none.

    It has no more digits than a double keeps, so that reading it does not
    round it over a bound.
    """
    low, high = map(_decimal, _range(keywords, _LARGEST_NUMBER))
    step = _decimal(keywords.get("multipleOf", _step_between(low, high)))
    # llguidance takes 0 for a number above 0 and below 1, so excluded bounds
    # become the next numbers that are allowed.
    first = (low / step).to_integral_value(ROUND_CEILING)
    last = (high / step).to_integral_value(ROUND_FLOOR)
    first += _is(first * step, keywords.get(_ABOVE))
    last -= _is(last * step, keywords.get(_BELOW))
    if first > last:
        return None
    return {
        "type": "number",
        "minimum": _plain_number(first * step),
        "maximum": _plain_number(last * step),
        "multipleOf": _plain_number(step),
    }


def bounded_choice(keywords: Keywords) -> Bounded | None:
    """Those of the listed values that have the type and can be written."""
    kinds = keywords.get("type", TYPES)
    values = [
        value
        for value in keywords["enum"]
        if any(is_of(value, kind) for kind in kinds) and is_writable(value)
    ]
    others = {k: v for k, v in keywords.items() if k != "type"}
    return {**others, "enum": values} if values else None


def is_writable(value: object) -> bool:
    """Whether all texts in a value can stand in a constrained reply."""
    return not any(map(_UNWRITABLE.search, _texts(value)))


def taken(keywords: Keywords, *names: str) -> Keywords:
    """Some of the keywords, where they are there."""
    return {name: keywords[name] for name in names if name in keywords}


def longest_json(bounded: Bounded) -> int:
    """The greatest length of a value, in bytes of UTF-8.

    Args:
        bounded (`Bounded`):
            What `bounded_schema` gives. The JSON has one space after each
            comma and colon, and none elsewhere.
    """
    if "anyOf" in bounded:
        return max(map(longest_json, bounded["anyOf"]))
    if "enum" in bounded:
        return max(map(_bytes_of, bounded["enum"]))
    return _LONGEST[bounded["type"]](bounded)


# -- numbers -----------------------------------------------------------------


def _range(keywords: Keywords, limit: int) -> tuple[float, float]:
    """The bounds that are there, and others as far away as the limit."""
    lows = taken(keywords, "minimum", _ABOVE).values()
    highs = taken(keywords, "maximum", _BELOW).values()
    low = max(lows, default=min(-limit, min(highs, default=0) - limit))
    high = min(highs, default=max(limit, low + limit))
    return low, high


def _decimal(number: float | Decimal) -> Decimal:
    """The number that is written, not the double next to it."""
    return Decimal(str(number))


def _is(number: Decimal, bound: float | None) -> bool:
    return bound is not None and number == _decimal(bound)


def _plain_number(number: Decimal) -> float:
    return int(number) if number == int(number) else float(number)


def _decimals(number: float | Decimal) -> int:
    """Digits after the decimal point."""
    exponent = _decimal(number).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _step_between(low: Decimal, high: Decimal) -> Decimal:
    """The distance of neighbouring numbers in a range."""
    decimals = max(_DECIMALS, _decimals(low), _decimals(high))
    decimals = min(decimals, _MOST_DECIMALS)
    decimals = min(decimals, _DIGITS - _whole_digits(low, high))
    return Decimal(1).scaleb(-max(0, decimals))


def _whole_digits(low: float | Decimal, high: float | Decimal) -> int:
    return len(str(int(max(abs(low), abs(high)))))


# -- lengths -----------------------------------------------------------------


def _bytes_of(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _longest_string(bounded: Bounded) -> int:
    # Four bytes have the longest characters; an escape has two.
    return 4 * bounded["maxLength"] + 2


def _longest_number(bounded: Bounded) -> int:
    whole = _whole_digits(bounded["minimum"], bounded["maximum"])
    decimals = _decimals(bounded.get("multipleOf", 1))
    return 1 + whole + (1 + decimals if decimals else 0)


def _longest_array(bounded: Bounded) -> int:
    first = bounded.get("prefixItems", [])
    most = bounded["maxItems"]
    items = [longest_json(one) for one in first[:most]]
    if most > len(first):
        items += [longest_json(bounded["items"])] * (most - len(first))
    return 2 + sum(items) + 2 * max(0, len(items) - 1)


def _longest_object(bounded: Bounded) -> int:
    members = [
        _bytes_of(name) + 2 + longest_json(value)
        for name, value in bounded.get("properties", {}).items()
    ]
    for value in bounded.get("patternProperties", {}).values():
        member = 4 * KEY_CHARACTERS + 2 + 2 + longest_json(value)
        members += [member] * bounded["maxProperties"]
    return 2 + sum(members) + 2 * max(0, len(members) - 1)


_LONGEST: Mapping[str, Callable[[Bounded], int]] = {
    "string": _longest_string,
    "integer": _longest_number,
    "number": _longest_number,
    "boolean": lambda _: len("false"),
    "null": lambda _: len("null"),
    "array": _longest_array,
    "object": _longest_object,
}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from (key, *_texts(one))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
