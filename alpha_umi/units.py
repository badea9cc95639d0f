# -*- coding: utf-8 -*-
"""Units of length, area, volume, mass, time, speed and temperature.

Converts a value from one unit into another of the same kind; units are known
by symbol, singular and plural. Knows no tools. Raises ValueError for a unit
that is unknown or of another kind.
"""

import difflib
from dataclasses import dataclass

_TABLE: dict[str, tuple[tuple[float, str], ...]] = {
    "length": (
        (1, "meter metre m"),
        (1000, "kilometer kilometre km"),
        (0.01, "centimeter centimetre cm"),
        (0.001, "millimeter millimetre mm"),
        (0.0254, "inch inches in"),
        (0.3048, "foot feet ft"),
        (0.9144, "yard yd"),
        (1609.344, "mile mi"),
        (1852, "nautical_mile nmi"),
    ),
    "area": (
        (1, "square_meter square_metre m2"),
        (1e6, "square_kilometer square_kilometre km2"),
        (1e4, "hectare ha"),
        (4046.8564224, "acre ac"),
        (0.09290304, "square_foot square_feet ft2"),
        (2589988.110336, "square_mile mi2"),
    ),
    "volume": (
        (1, "liter litre l"),
        (0.001, "milliliter millilitre ml"),
        (1000, "cubic_meter cubic_metre m3"),
        (3.785411784, "gallon gal"),
        (0.946352946, "quart qt"),
        (0.473176473, "pint pt"),
        (0.2365882365, "cup"),
        (0.01478676478125, "tablespoon tbsp"),
        (0.00492892159375, "teaspoon tsp"),
    ),
    "mass": (
        (1, "kilogram kg"),
        (0.001, "gram g"),
        (1e-6, "milligram mg"),
        (1000, "tonne t"),
        (0.45359237, "pound lb"),
        (0.028349523125, "ounce oz"),
        (6.35029318, "stone st"),
    ),
    "time": (
        (1, "second sec s"),
        (60, "minute min"),
        (3600, "hour h"),
        (86400, "day d"),
        (604800, "week wk"),
        (31557600, "year yr"),
    ),
    "speed": (
        (1, "m/s meters_per_second"),
        (1 / 3.6, "km/h kph kilometers_per_hour"),
        (0.44704, "mph miles_per_hour"),
        (1852 / 3600, "knot kn"),
    ),
    "temperature": (
        (1, "kelvin k"),
        (1, "celsius c"),
        (5 / 9, "fahrenheit f"),
    ),
}
"""Units by kind: how many of the first one, which has the factor 1, and all
names. Gallons, pints and cups are those of the United States; a year has
365.25 days. Factors: NIST Special Publication 811, appendix B."""

LARGEST = 1e30
"""The largest value that is converted."""

_ALIKE = 0.75
"""From which likeness on a name is taken for a slip."""

_SIGNS = str.maketrans({"°": None, "²": "2", "³": "3"})
"""What people write, by what stands in the table."""

_ZEROS = {"celsius": 273.15, "fahrenheit": 459.67 * 5 / 9}
"""Where a scale of temperature has its zero, in kelvin."""


@dataclass(frozen=True, slots=True)
class _Unit:
    kind: str
    factor: float
    zero: float


def _by_name() -> dict[str, _Unit]:
    units: dict[str, _Unit] = {}
    for kind, rows in _TABLE.items():
        for factor, names in rows:
            first = names.split()[0]
            unit = _Unit(kind, factor, _ZEROS.get(first, 0.0))
            for name in names.split():
                units[name.replace("_", " ")] = unit
    return units


_UNITS = _by_name()


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Convert a value into another unit of the same kind.

    Args:
        value (`float`):
            How many of `from_unit`.
        from_unit (`str`):
            Symbol or name, in any case: `km`, `kilometer`, `kilometers`.
        to_unit (`str`):
            The same, of what is wanted.

    Raises:
        `ValueError`: A unit is unknown, they are of two kinds, or the value
            is above `LARGEST`.
    """
    if not abs(value) <= LARGEST:
        raise ValueError(f"{value} is too large to be converted")
    known, wanted = _unit(from_unit), _unit(to_unit)
    if known.kind != wanted.kind:
        raise ValueError(
            f"{from_unit} is a unit of {known.kind}, {to_unit} of "
            f"{wanted.kind}",
        )
    first = value * known.factor + known.zero
    return (first - wanted.zero) / wanted.factor


def _unit(name: str) -> _Unit:
    plain = " ".join(name.lower().translate(_SIGNS).split())
    for spelled in (plain, plain.removesuffix("s")):
        if spelled in _UNITS:
            return _UNITS[spelled]
    near = difflib.get_close_matches(plain, _UNITS, 1, _ALIKE)
    if near:
        raise ValueError(f"unknown unit {name}, did you mean {near[0]}?")
    raise ValueError(
        f"unknown unit {name}, there are units of {', '.join(_TABLE)}",
    )
