# -*- coding: utf-8 -*-
"""Finds waits without a limit in a syntax tree."""

import ast


def may_wait_for_ever(call: ast.Call) -> bool:
    """A call of a queue, thread, event, lock or future without a limit.

    `get` and `join` of dictionaries and strings have a positional argument.
    """
    if not isinstance(call.func, ast.Attribute):
        return False
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    limit = named.get("timeout")
    if limit is not None:
        return isinstance(limit, ast.Constant) and limit.value is None
    if call.func.attr == "acquire":
        flags = [*call.args[:1], *[v for k, v in named.items() if k]]
        return not any(
            isinstance(one, ast.Constant) and one.value is False
            for one in flags
        )
    waiting = {"get", "join", "wait", "result", "communicate"}
    return call.func.attr in waiting and not call.args


def inside_a_timeout(tree: ast.AST) -> set[ast.AST]:
    """What stands in the body of `async with asyncio.timeout(...)`."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        and any(
            ast.unparse(item.context_expr).startswith("asyncio.timeout(")
            for item in node.items
        )
        for inner in ast.walk(node)
    }
