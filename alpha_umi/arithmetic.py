# -*- coding: utf-8 -*-
"""A calculator for text that a model writes, and how numbers are written.

Walks the syntax tree of numbers, operators and parentheses; nothing is
evaluated as code. Knows no tools. Raises ValueError for any other text and
for numbers so large that a calculation could hang.
"""

import ast
import math
import operator
from collections.abc import Callable

Number = int | float

LONGEST_EXPRESSION = 200
"""Of a calculation, in characters."""

_LARGEST_POWER_OF_TEN = 30

LARGEST = 10**_LARGEST_POWER_OF_TEN
"""The largest value, also on the way to the result."""

_SIGNIFICANT, _DECIMALS = 6, 2

_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})
"""How people and models write operators, by Python's."""


def _power(base: Number, exponent: Number) -> Number:
    # Before it is worked out: 9**9**9 has 370 million digits.
    if base and exponent * math.log10(abs(base)) > _LARGEST_POWER_OF_TEN:
        raise OverflowError
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("a root of a negative number is no real number")
    return result


_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}

_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


def evaluate(expression: str) -> Number:
    """Work out an expression of numbers.

    Args:
        expression (`str`):
            Numbers, `+ - * / // % **` and parentheses.

    Returns:
        `int | float`: The value, exact where all is whole.

    Raises:
        `ValueError`: It is no such expression, divides by zero, or its value
            is above `LARGEST`.
    """
    if len(expression) > LONGEST_EXPRESSION:
        raise ValueError(f"longer than {LONGEST_EXPRESSION} characters")
    try:
        text = expression.translate(_SIGNS).strip()
        return _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise _no_expression(expression) from error
    except ZeroDivisionError as error:
        raise ValueError(f"{expression} divides by zero") from error
    except OverflowError as error:
        raise ValueError(f"{expression} is too large") from error


def number_text(value: Number) -> str:
    """Write a number short: whole ones in full, others with six digits, or
    two decimals where that is more.

    Args:
        value (`int | float`):
            Any finite number.
    """
    if value == int(value):
        return str(int(value))
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -_SIGNIFICANT:
        return f"{value:.{_SIGNIFICANT}g}"
    decimals = max(_DECIMALS, _SIGNIFICANT - 1 - magnitude)
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value):
            if isinstance(value, bool):
                raise _no_expression(str(value))
            return _bounded(value)
        case ast.BinOp() if type(node.op) in _BINARY:
            left, right = _value(node.left), _value(node.right)
            return _bounded(_BINARY[type(node.op)](left, right))
        case ast.UnaryOp() if type(node.op) in _UNARY:
            return _UNARY[type(node.op)](_value(node.operand))
    raise _no_expression(ast.unparse(node))


def _bounded(value: Number) -> Number:
    if abs(value) > LARGEST:
        raise OverflowError
    return value


def _no_expression(text: str) -> ValueError:
    return ValueError(
        f"{text} is no calculation, use numbers and + - * / // % ** ( )",
    )
