# -*- coding: utf-8 -*-
"""What an arm has said at the steps of a part, kept in a file.

A file is of the very adapters and steps that its key says, and serves for no
others. Knows no models. Raises CheckpointError for a damaged one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_llm import atomic_files
from local_llm.errors import CheckpointError

from .arms import Arm
from .decision_steps import Step
from .static_evaluation import Answered, step_rows


@dataclass(frozen=True)
class AnswerFile:
    """Where the answers are kept.

    Attributes:
        path (`Path`):
            The file.
        key (`str`):
            Of what they are made.
        arm (`Arm`):
            Who answers.
        steps (`Sequence[Step]`):
            Where.
    """

    path: Path
    key: str
    arm: Arm
    steps: Sequence[Step]

    def write(self, answered: Sequence[Answered]) -> None:
        """Keep the answers, each with what is right and how it scores."""
        values = {"key": self.key, "steps": step_rows(self.steps, answered)}
        with atomic_files.whole_file(self.path) as partial:
            text = json.dumps(values, ensure_ascii=False, indent=1)
            partial.write_text(text, encoding="utf-8")

    def read(self) -> list[Answered] | None:
        """The answers, None where they are not there or of something else.

        Raises:
            `CheckpointError`: The file is damaged.
        """
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            if values["key"] != self.key:
                return None
            texts = [self._checked(row["texts"]) for row in values["steps"]]
            if len(texts) != len(self.steps):
                raise ValueError(
                    f"{len(texts)} answers at {len(self.steps)} steps",
                )
        except FileNotFoundError:
            return None
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
        ) as error:
            raise CheckpointError(
                f"{self.path.absolute()} has no answers: "
                f"{type(error).__name__}: {error}",
                fix="delete it: they are asked for again",
            ) from error
        return [Answered(one) for one in texts]

    def _checked(self, texts: object) -> dict[str, str]:
        """The texts of one step: of who speaks first, and perhaps of who
        speaks after."""
        if not isinstance(texts, dict):
            raise TypeError("a step has no texts by role")
        first, *others = (role.value for role in self.arm.plays)
        if not {first} <= texts.keys() <= {first, *others}:
            raise ValueError(f"texts of {', '.join(texts) or 'nobody'}")
        if not all(isinstance(one, str) for one in texts.values()):
            raise TypeError("what a role said is no text")
        return texts
