# -*- coding: utf-8 -*-
"""The part of Go's text/template that our Modelfiles use.

Text and its trimming, strings, fields, variables and their assignment, `if`,
`else if`, `else`, `range`, and the functions `eq` and `and`. Anything else is
an error here, so that a template cannot pass by being misread.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_STRING = r'"(?:[^"\\]|\\.)*"'
_ACTION = re.compile(
    r"\{\{(?P<left>-\s)?\s*(?P<code>(?:%s|[^\"])*?)\s*(?P<right>\s-)?\}\}"
    % _STRING,
)
_WORD = re.compile(rf"{_STRING}|[()]|:?=|[$.]?\w+|\.")
_ASSIGNMENT = re.compile(r"(\$\w+)\s*(:?=)\s*(.+)", re.DOTALL)

Value = Any


@dataclass
class Node:
    """A text, an action, or a block with its branches."""

    kind: str
    code: str = ""
    branches: list[tuple[str, list["Node"]]] = field(default_factory=list)


def render(template: str, data: dict[str, Value]) -> str:
    """What Go writes for the template and the data."""
    pieces = list(_pieces(template))
    nodes = _parse(pieces)
    assert not pieces, f"{{{{ {pieces[0][1]} }}}} without a block"
    return "".join(_run(nodes, data, {}))


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """Texts, trimmed where an action wants it, and actions."""
    at, trims = 0, False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trims else text
        yield "text", text.rstrip() if match["left"] else text
        yield "action", match["code"]
        at, trims = match.end(), bool(match["right"])
    rest = template[at:]
    yield "text", rest.lstrip() if trims else rest


def _parse(pieces: list[tuple[str, str]]) -> list[Node]:
    """Nodes up to an `else` or `end`, which stays."""
    nodes = []
    while pieces:
        kind, code = pieces[0]
        word = code.partition(" ")[0]
        if kind == "action" and word in ("else", "end"):
            break
        pieces.pop(0)
        if kind == "action" and word in ("if", "range"):
            nodes.append(_block(word, code.removeprefix(word), pieces))
        else:
            nodes.append(Node(kind, code))
    return nodes


def _block(kind: str, condition: str, pieces: list[tuple[str, str]]) -> Node:
    node = Node(kind, branches=[(condition, _parse(pieces))])
    while True:
        _, code = pieces.pop(0)
        if code == "end":
            return node
        assert kind == "if" and code.startswith("else"), code
        condition = code.removeprefix("else").strip().removeprefix("if")
        node.branches.append((condition or '"true"', _parse(pieces)))


def _run(
    nodes: list[Node],
    dot: Value,
    variables: dict[str, Value],
) -> Iterator[str]:
    for node in nodes:
        if node.kind == "text":
            yield node.code
        elif node.kind == "action":
            yield _act(node.code, dot, variables)
        elif node.kind == "if":
            yield from _run(_branch(node, dot, variables), dot, variables)
        else:
            condition, body = node.branches[0]
            for item in _value(condition, dot, variables):
                yield from _run(body, item, variables)


def _branch(node: Node, dot: Value, variables: dict[str, Value]) -> list[Node]:
    for condition, body in node.branches:
        if _value(condition, dot, variables):
            return body
    return []


def _act(code: str, dot: Value, variables: dict[str, Value]) -> str:
    assignment = _ASSIGNMENT.fullmatch(code)
    if assignment is None:
        value = _value(code, dot, variables)
        assert isinstance(value, str), code
        return value
    name, sign, expression = assignment.groups()
    assert (sign == ":=") != (name in variables), code
    variables[name] = _value(expression, dot, variables)
    return ""


def _value(code: str, dot: Value, variables: dict[str, Value]) -> Value:
    words = _WORD.findall(code)
    assert "".join(words) == re.sub(rf"({_STRING})|\s", r"\1", code), code
    value = _call(words, dot, variables)
    assert not words, code
    return value


def _call(words: list[str], dot: Value, variables: dict[str, Value]) -> Value:
    """One function with its arguments, or one operand."""
    if words[0] not in ("eq", "and"):
        return _operand(words, dot, variables)
    name = words.pop(0)
    left = _operand(words, dot, variables)
    right = _operand(words, dot, variables)
    return left == right if name == "eq" else left and right


def _operand(
    words: list[str],
    dot: Value,
    variables: dict[str, Value],
) -> Value:
    word = words.pop(0)
    if word == "(":
        value = _call(words, dot, variables)
        assert words.pop(0) == ")"
        return value
    if word.startswith('"'):
        return json.loads(word)
    if word.startswith("$"):
        return variables[word]
    assert word.startswith("."), word
    return dot if word == "." else dot[word[1:]]
