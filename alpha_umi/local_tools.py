# -*- coding: utf-8 -*-
"""A toolkit for everyday questions: numbers, dates, facts, texts, a list.

Plain functions, deterministic and without side effects but for the to-do list,
which lives in its object. Their docstrings are read by models: short, and an
argument's text in lower case. Raise ValueError for what they cannot do.
"""

import datetime
import re
from collections.abc import Callable
from typing import Literal

from . import arithmetic, units
from .knowledge import Knowledge, load_knowledge

LONGEST_TEXT = 10_000
"""Of a text that is counted or changed, in characters."""

LONGEST_LIST = 100
"""Of the to-do list, in items."""

_DATE_FORMATS = ("%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%B %d %Y")


def local_tools() -> list[Callable[..., str]]:
    """The whole toolkit, with a to-do list of its own.

    Raises:
        `DatasetError`: The table of facts is not there.
    """
    facts, to_do = Facts(load_knowledge()), ToDoList()
    return [
        calculate,
        convert_units,
        days_between,
        add_days,
        day_of_week,
        facts.look_up,
        facts.find_names,
        count_words,
        count_letters,
        reverse_text,
        change_case,
        sort_words,
        to_do.add_to_do,
        to_do.list_to_do,
        to_do.finish_to_do,
    ]


# -- numbers and dates ----------------------------------------------------


def calculate(expression: str) -> str:
    """Work out numbers.

    Args:
        expression (`str`):
            such as (3 + 4) * 2

    Raises:
        `ValueError`: It is no calculation, or too large.
    """
    return arithmetic.number_text(arithmetic.evaluate(expression))


def convert_units(value: float, from_unit: str, to_unit: str) -> str:
    """Convert a value to another unit.

    Args:
        value (`float`):
            a value
        from_unit (`str`):
            a unit
        to_unit (`str`):
            a unit

    Raises:
        `ValueError`: A unit is unknown or of another kind.
    """
    converted = units.convert(value, from_unit, to_unit)
    return f"{arithmetic.number_text(converted)} {to_unit}"


def days_between(start: str, end: str) -> str:
    """Count the days from start to end.

    Args:
        start (`str`):
            a date
        end (`str`):
            a date

    Raises:
        `ValueError`: One is no date.
    """
    return _counted((_date(end) - _date(start)).days, "day")


def add_days(date: str, days: int) -> str:
    """Find the date some days later.

    Args:
        date (`str`):
            a date
        days (`int`):
            how many

    Raises:
        `ValueError`: It is no date, or the sum is out of the calendar.
    """
    try:
        return str(_date(date) + datetime.timedelta(days))
    except OverflowError as error:
        raise ValueError(f"{days} days are too many") from error


def day_of_week(date: str) -> str:
    """Tell the weekday of a date.

    Args:
        date (`str`):
            a date

    Raises:
        `ValueError`: It is no date.
    """
    return f"{_date(date):%A}"


def _date(text: str) -> datetime.date:
    for one in _DATE_FORMATS:
        try:
            return datetime.datetime.strptime(text.strip(), one).date()
        except ValueError:
            continue
    raise ValueError(
        f"{text} is no date, write 2024-12-31 or 31 December 2024",
    )


# -- facts ----------------------------------------------------------------


class Facts:
    """The tools over a table of facts.

    Args:
        knowledge (`Knowledge`):
            The table.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def look_up(self, name: str, field: str) -> str:
        """Look up a fact.

        Args:
            name (`str`):
                such as France
            field (`str`):
                such as capital

        Raises:
            `ValueError`: The name or its field is unknown.
        """
        return self._knowledge.value(name, field)

    def find_names(self, field: str, value: str) -> str:
        """Find all that have a fact.

        Args:
            field (`str`):
                such as currency
            value (`str`):
                such as euro

        Raises:
            `ValueError`: The field is unknown, or nothing has the value.
        """
        return ", ".join(self._knowledge.names(field, value))


# -- texts ----------------------------------------------------------------


def count_words(text: str) -> str:
    """Count the words of a text.

    Args:
        text (`str`):
            a text

    Raises:
        `ValueError`: It is too long.
    """
    return str(len(re.findall(r"\w+(?:['’-]\w+)*", _bounded(text))))


def count_letters(text: str, letter: str) -> str:
    """Count a letter in a text.

    Args:
        text (`str`):
            a text
        letter (`str`):
            a letter

    Raises:
        `ValueError`: It is not one letter, or the text is too long.
    """
    if len(letter) != 1:
        raise ValueError(f"{letter} is not one letter")
    return str(_bounded(text).casefold().count(letter.casefold()))


def reverse_text(text: str) -> str:
    """Write a text backwards.

    Args:
        text (`str`):
            a text

    Raises:
        `ValueError`: It is too long.
    """
    return _bounded(text)[::-1]


def change_case(text: str, case: Literal["upper", "lower", "title"]) -> str:
    """Write a text in another case.

    Args:
        text (`str`):
            a text
        case (`Literal["upper", "lower", "title"]`):
            upper, lower or title

    Raises:
        `ValueError`: The text is too long, or there is no such case.
    """
    change = {"upper": str.upper, "lower": str.lower, "title": _title}
    if case not in change:
        raise ValueError(
            f"unknown case {case}, use one of {', '.join(change)}"
        )
    return change[case](_bounded(text))


def sort_words(text: str) -> str:
    """Sort words by the alphabet.

    Args:
        text (`str`):
            the words

    Raises:
        `ValueError`: They are too long.
    """
    mark = ", " if "," in _bounded(text) else " "
    words = [one.strip() for one in text.split(mark.strip() or None)]
    return mark.join(sorted(filter(None, words), key=str.casefold))


def _title(text: str) -> str:
    # Not str.title, which writes Don'T.
    return re.sub(
        r"[\w'’]+",
        lambda word: word[0][0].upper() + word[0][1:].lower(),
        text,
    )


def _bounded(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the text has more than {LONGEST_TEXT} characters")
    return text


# -- the to-do list -------------------------------------------------------


class ToDoList:
    """A to-do list and the tools that change it."""

    def __init__(self) -> None:
        self._items: list[str] = []

    def add_to_do(self, item: str) -> str:
        """Put an item on the to-do list.

        Args:
            item (`str`):
                what to do

        Raises:
            `ValueError`: It is empty, there already, or the list is full.
        """
        plain = _bounded(item).strip()
        if not plain:
            raise ValueError("the item is empty")
        if self._find(plain) is not None:
            raise ValueError(f"{plain} is on the list already")
        if len(self._items) >= LONGEST_LIST:
            raise ValueError(f"the list is full with {LONGEST_LIST} items")
        self._items.append(plain)
        return f"added {plain}, {_counted(len(self._items), 'item')} to do"

    def list_to_do(self) -> str:
        """Show the to-do list."""
        return ", ".join(self._items) or "nothing to do"

    def finish_to_do(self, item: str) -> str:
        """Take an item off the to-do list.

        Args:
            item (`str`):
                what is done

        Raises:
            `ValueError`: It is not on the list.
        """
        found = self._find(item.strip())
        if found is None:
            raise ValueError(
                f"{item} is not on the list, there is {self.list_to_do()}",
            )
        self._items.remove(found)
        return f"finished {found}, {_counted(len(self._items), 'item')} to do"

    def _find(self, item: str) -> str | None:
        same = (one for one in self._items if one.lower() == item.lower())
        return next(same, None)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if abs(number) == 1 else f"{number} {noun}s"
