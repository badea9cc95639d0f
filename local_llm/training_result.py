# -*- coding: utf-8 -*-
"""What a training run did, in figures; a value and nothing else."""

from dataclasses import dataclass, field

from .training_rows import TrainingRows


@dataclass(frozen=True)
class TrainingResult:
    """What a run did.

    Attributes:
        losses (`list[tuple[int, float]]`):
            Step and its mean loss over labelled tokens.
        held_out_losses (`list[tuple[int, float]]`):
            Step, 0 before the first, and the loss of the held-out rows;
            empty without such rows.
        held_out_before, held_out_after (`float | None`):
            Mean loss of the held-out tokens under the loss before training,
            or where the data changed, and of the weights that were kept;
            None without held-out rows.
        steps (`int`):
            Optimizer steps.
        best_step (`int | None`):
            The step whose weights were kept; None where those of the last
            are, without a choice.
        stopped_early (`bool`):
            Whether the held-out loss ended the run before its time.
        resumed_at (`list[int]`):
            Steps from which it went on after an interruption.
        notes (`list[str]`):
            What was chosen for the user, and why.
        tokens_seen (`int`):
            By the optimizer steps, padding not counted.
        seconds (`float`):
            Of the optimizer steps, without evaluations and checkpoints.
        peak_memory_bytes (`int`):
            Of the device; of the process on a CPU.
        train_rows, held_out_rows (`TrainingRows`):
            What was trained and measured on.
    """

    losses: list[tuple[int, float]]
    held_out_before: float | None
    held_out_after: float | None
    steps: int
    tokens_seen: int
    seconds: float
    peak_memory_bytes: int
    train_rows: TrainingRows = field(repr=False)
    held_out_rows: TrainingRows = field(repr=False)
    held_out_losses: list[tuple[int, float]] = field(default_factory=list)
    best_step: int | None = None
    stopped_early: bool = False
    resumed_at: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """Training tokens, padding not counted."""
        return self.tokens_seen / self.seconds if self.seconds else 0.0
