# -*- coding: utf-8 -*-
"""What happened in a training run so far, step by step.

Kept with every checkpoint, so that a resumed run tells the whole story. Knows
no weights. Raises CheckpointError for a record that cannot be read.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .atomic_files import write_json
from .errors import CheckpointError

HISTORY_FILE = "history.json"


@dataclass
class TrainingHistory:
    """Losses and costs of a run.

    Attributes:
        losses (`list[tuple[int, float]]`):
            Optimizer step, from 1, and its mean loss over labelled tokens.
        held_out_losses (`list[tuple[int, float]]`):
            Optimizer step, 0 before the first, and the loss of the held-out
            rows; empty without such rows.
        tokens_seen (`int`):
            In training, padding not counted.
        seconds (`float`):
            Of the optimizer steps, without evaluations and checkpoints.
        resumed_at (`list[int]`):
            Steps from which the run went on after an interruption.
        rows (`str`):
            The fingerprint of the rows it trains and measures on.
        measured_from (`int`):
            The step from which the held-out losses are those of these rows;
            0 where they never changed.
    """

    losses: list[tuple[int, float]] = field(default_factory=list)
    held_out_losses: list[tuple[int, float]] = field(default_factory=list)
    tokens_seen: int = 0
    seconds: float = 0.0
    resumed_at: list[int] = field(default_factory=list)
    rows: str = ""
    measured_from: int = 0

    @property
    def best(self) -> tuple[int, float] | None:
        """The step after training on these rows began with the lowest
        held-out loss, and that loss; the first of equals."""
        trained = [
            point
            for point in self.held_out_losses
            if point[0] > self.measured_from
        ]
        return min(trained, key=lambda point: point[1], default=None)

    def resume(self, step: int, rows: str) -> None:
        """Go on from a step.

        The held-out losses of other rows say nothing of these, and weights
        that were the best on them have seen none of these.

        Args:
            step (`int`):
                Where the run was interrupted.
            rows (`str`):
                The fingerprint of the rows from here on.
        """
        self.resumed_at.append(step)
        if rows != self.rows:
            self.rows, self.measured_from = rows, step
            self.held_out_losses.clear()

    def evaluations_since_best(self) -> int:
        """How many evaluations in a row brought nothing better."""
        if self.best is None:
            return 0
        return sum(step > self.best[0] for step, _ in self.held_out_losses)

    def held_out_at(self, step: int) -> float | None:
        """The held-out loss at a step; None where it was not measured."""
        return dict(self.held_out_losses).get(step)

    def write(self, folder: Path) -> None:
        """Keep it with a checkpoint."""
        write_json(folder / HISTORY_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "TrainingHistory":
        """Read what `write` wrote.

        Raises:
            `CheckpointError`: The record is missing or damaged.
        """
        path = folder / HISTORY_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            for key in ("losses", "held_out_losses"):
                values[key] = [(step, loss) for step, loss in values[key]]
            return cls(**values)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path.absolute()} cannot be read: {error}",
                fix="remove that checkpoint folder; an older one is used then",
            ) from error
