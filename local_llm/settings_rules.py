# -*- coding: utf-8 -*-
"""What one key of a config means, and which of its values are right.

Judges values of the right type, says the range in words and as JSON Schema.
Knows no key; raises nothing.
"""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """The meaning of a key, and the values it may have.

    Args:
        meaning (`str`): What it does, in half a sentence.
        minimum (`float | None`, optional): The lowest value.
        above (`float | None`, optional): A bound that is not reached.
        maximum (`float | None`, optional): The highest value.
        below (`float | None`, optional): A bound that is not reached.
        also (`tuple[int, ...]`, optional): Values outside those bounds.
        choices (`tuple[str, ...]`, optional): The only strings.
        pattern (`str`, optional): What a string matches as a whole.
        words (`str`, optional): The pattern in words.
    """

    meaning: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None
    also: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    pattern: str = ""
    words: str = ""

    def allows(self, value: object) -> bool:
        """Whether a value of the right type lies in the range.

        Args:
            value (`object`): Strings and numbers are judged; the rest
                passes, unless there are choices.
        """
        if isinstance(value, str):
            return self._allows_text(value)
        if self.choices:
            return value is None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return value in self.also or (
            (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.below is None or value < self.below)
        )

    def _allows_text(self, value: str) -> bool:
        if self.choices and value not in self.choices:
            return False
        return re.fullmatch(self.pattern or ".*", value, re.DOTALL) is not None

    def range(self) -> str:
        """The range in words; empty where every value of the type is fine."""
        if self.words:
            return self.words
        if self.choices:
            several = "one of " if self.choices[1:] else ""
            return several + ", ".join(repr(text) for text in self.choices)
        bounds = (
            ("at least", self.minimum),
            ("above", self.above),
            ("at most", self.maximum),
            ("below", self.below),
        )
        parts = [f"{word} {n}" for word, n in bounds if n is not None]
        text = " and ".join(parts)
        others = "".join(f"{value} or " for value in self.also)
        return others + text

    def schema(self) -> dict[str, Any]:
        """The range as JSON Schema keywords."""
        bounds = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
            "exclusiveMaximum": self.below,
        }
        found: dict[str, Any] = {
            k: v for k, v in bounds.items() if v is not None
        }
        if self.also:
            found = {"anyOf": [{"enum": list(self.also)}, found]}
        if self.pattern:
            found["pattern"] = f"^(?:{self.pattern})$"
        return found
