# -*- coding: utf-8 -*-
"""The prompts of the roles, rendered from tools, history and rationale.

Two styles: `paper` is byte for byte what the published records of alpha-UMi
have, `brief` says the same in a third of the tokens, for small models that
read slowly. Knows no models and raises nothing.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .protocol import Tool, Utterance

PromptStyle = Literal["paper", "brief"]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The templates of one style.

    Attributes:
        backbone, planner, caller, summarizer (`str`):
            Of the roles, with the fields `doc`, `history`, `thought` and
            `tool_names`.
    """

    backbone: str
    planner: str
    caller: str
    summarizer: str


# The wording, mistakes included, is the interface of the published records
# and weights (X-PLUG/Multi-LLM-Agent).
_PAPER = Prompts(
    backbone=(
        "You have assess to the following apis:\n{doc}\n"
        "The conversation history is:\n{history}\n"
        "You should answer the action of next step in the following format:\n"
        "The thought to solve the question,\n"
        "Action: the name of api that should be called in this step, should "
        "be exactly in [{tool_names}],\n"
        "Action Input: the api call request.\n"
        "Once you think the question is finished, output conclusion: the "
        "final answer of the question or give up if you think you cannot "
        "answer this question.\n assistant: "
    ),
    planner=(
        "You have assess to the following apis:\n{doc}\n"
        "The conversation history is:\n{history}\n"
        "You are the assistant to plan what to do next and whether is "
        "caller's or conclusion's turn to answer.\n"
        "Answer with a following format:\n"
        "The thought of the next step, followed by Next: caller or "
        "conclusion or give up. assistant: "
    ),
    caller=(
        "You have assess to the following apis:\n{doc}\n"
        "The conversation history is:\n{history}\n"
        "The thought of this step is:\n{thought}\n"
        "Base on the thought make an api call in the following format:\n"
        "Action: the name of api that should be called in this step, should "
        "be exactly in [{tool_names}],\n"
        "Action Input: the api call request. caller: "
    ),
    summarizer=(
        "Make a conclusion based on the conversation history:\n{history} "
        "conclusion: "
    ),
)

_BRIEF = Prompts(
    backbone=(
        "Tools:\n{doc}\n\n{history}\n"
        "What next? A thought, then Action and Action Input, or conclusion: "
        "and the answer, or conclusion: give up."
    ),
    planner=(
        "Tools:\n{doc}\n\n{history}\n"
        "Plan the next step, then say Next: caller, Next: conclusion or "
        "Next: give up."
    ),
    caller=(
        "Tools:\n{doc}\n\n{history}\nWrite the call: Action and Action Input."
    ),
    summarizer="{history}\nAnswer the user.",
)

_TEMPLATES: dict[PromptStyle, Prompts] = {"paper": _PAPER, "brief": _BRIEF}

_CUT = "..."

_LONGEST_DESCRIPTION = 80
"""Of a tool or an argument in the brief style, in characters."""

_TOOLBENCH_FRAME = re.compile(
    r'This is the subfunction for tool "[^"]*", you can use this tool\.'
    r'(?:The description of this function is: )?"?(.*?)"?',
    re.DOTALL,
)
"""What stands around every description of ToolBench; it tells a reader
nothing. Of a description that was cut the last quote is missing."""


def render(
    template: str,
    style: PromptStyle,
    tools: Sequence[Tool],
    history: Iterable[Utterance],
    thought: str = "",
) -> str:
    """Fill a template.

    Args:
        template (`str`):
            One of `templates(style)`.
        style (`PromptStyle`):
            How tools and history are written.
        tools (`Sequence[Tool]`):
            What may be called.
        history (`Iterable[Utterance]`):
            What was said.
        thought (`str`, optional):
            The planner's last text, for the caller.
    """
    # Not one field after the other: a text may have another field's name.
    return template.format(
        doc=_document(style, tools),
        history=_history(style, history),
        thought=thought,
        tool_names=", ".join(tool.name for tool in tools),
    )


def templates(style: PromptStyle) -> Prompts:
    """The templates of a style."""
    return _TEMPLATES[style]


def _document(style: PromptStyle, tools: Sequence[Tool]) -> str:
    if style == "paper":
        return "".join(f"{json.dumps(tool.as_document())}\n" for tool in tools)
    return "\n".join(_line(tool) for tool in tools)


def _line(tool: Tool) -> str:
    arguments = ", ".join(
        f"{name}: {text}" if (text := _short(raw.strip(", "))) else name
        for name, raw in tool.arguments.items()
    )
    framed = _TOOLBENCH_FRAME.fullmatch(tool.description)
    description = _short(framed[1] if framed else tool.description)
    return f"{tool.name}({arguments}) {description}".rstrip()


def _short(text: str) -> str:
    short = textwrap.shorten(text, _LONGEST_DESCRIPTION, placeholder=_CUT)
    if short == _CUT:  # no spaces, as in Chinese: not a word has room
        return text[: _LONGEST_DESCRIPTION - len(_CUT)] + _CUT
    return short


def _history(style: PromptStyle, history: Iterable[Utterance]) -> str:
    if style == "brief":
        return "\n".join(f"{one.speaker}: {one.text}" for one in history)
    # Every turn but an observation has an end of its own.
    return "".join(
        f"{one.speaker}: {one.text}"
        + ("" if one.speaker == "observation" else "</s>")
        for one in history
    )
