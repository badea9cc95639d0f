# -*- coding: utf-8 -*-
"""Values are converted between units of one kind, and of no others."""

import math

import pytest

from alpha_umi.units import convert


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (1, "mile", "km", 1.609344),
        (3, "feet", "inches", 36),
        (2, "square kilometers", "hectares", 200),
        (1, "km²", "m2", 1_000_000),
        (1, "gallon", "cups", 16),
        (1, "kg", "pounds", 2.2046226),
        (16, "ounces", "lb", 1),
        (90, "minutes", "hours", 1.5),
        (1461, "days", "years", 4),
        (36, "km/h", "m/s", 10),
        (1, "knot", "km/h", 1.852),
        (100, "°C", "F", 212),
        (-40, "fahrenheit", "celsius", -40),
        (0, "Kelvin", "celsius", -273.15),
        (5, "METRES", " m ", 5),
    ],
)
def test_values_are_converted(
    value: float,
    from_unit: str,
    to_unit: str,
    expected: float,
) -> None:
    converted = convert(value, from_unit, to_unit)
    assert converted == pytest.approx(expected, abs=1e-9, rel=1e-6)


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "reason"),
    [
        ("kg", "m", "kg is a unit of mass, m of length"),
        ("kilometrs", "m", "unknown unit kilometrs, did you mean kilometre?"),
        ("parsec", "m", "unknown unit parsec, there are units of length"),
        ("m", "xyzzy", "unknown unit xyzzy, there are units of length, area"),
    ],
)
def test_what_is_wrong_with_a_unit_is_said(
    from_unit: str,
    to_unit: str,
    reason: str,
) -> None:
    with pytest.raises(ValueError) as caught:
        convert(1, from_unit, to_unit)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e31])
def test_no_value_is_beyond_the_limit(value: float) -> None:
    with pytest.raises(ValueError, match="too large"):
        convert(value, "km", "mm")
