# -*- coding: utf-8 -*-
"""What a task may take, and how it may end.

Values only. Raises ConfigError for a limit that would let nothing happen.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

from local_llm.errors import ConfigError


class Outcome(StrEnum):
    """How a task ended."""

    ANSWERED = "answered"
    GAVE_UP = "gave_up"
    STEP_LIMIT = "step_limit"
    QUERY_LIMIT = "query_limit"
    TOKEN_LIMIT = "token_limit"
    REPEATED_STATE = "repeated_state"
    MODEL_ERROR = "model_error"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may take. The paper's runner has 12, 2, 200 and 1,024.

    Attributes:
        steps (`int`):
            Calls of one attempt, from the task on.
        width (`int`):
            Calls that are tried at one point of a search; a chain tries one.
        queries (`int`):
            How often a model is asked.
        tokens (`int`):
            That all models write: as many as 200 queries of 512, the
            paper's, come to.
        repeats (`int`):
            How often one call may bring one observation in an attempt; the
            last time ends the attempt.
        observation_characters (`int`):
            What is longer is cut.
        tool_seconds (`float`):
            A tool that takes longer is given up.

    Raises:
        `ConfigError`: One of them is not above 0.
    """

    steps: int = 12
    width: int = 2
    queries: int = 200
    tokens: int = 200 * 512
    repeats: int = 3
    observation_characters: int = 1024
    tool_seconds: float = 60.0

    def __post_init__(self) -> None:
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        problems = [
            f"{name}: found {value!r}, want a number above 0"
            for name, value in found.items()
            if not value > 0
        ]
        if problems:
            raise ConfigError(
                "limits of a task",
                problems,
                fix="leave them out for those of the paper",
            )


LIMITS = Limits()
"""The paper's, where it names them."""
