# -*- coding: utf-8 -*-
"""trl's SFTTrainer, with a loss that is cheap on a CPU and never hidden.

Rows come as ids and labels; nothing is rendered here. Raises TrainingError.
"""

from typing import Any

import torch
from datasets import Dataset
from trl import SFTTrainer

from .errors import TrainingError
from .labelled_loss import IGNORED, can_compute, labelled_loss
from .training_rows import TrainingRows


class AdapterTrainer(SFTTrainer):
    """SFTTrainer whose loss on a CPU costs the labelled tokens only."""

    tokens_seen = 0

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The mean over the labelled tokens of the optimizer step."""
        if model.training:
            padding = self.data_collator.pad_token_id
            self.tokens_seen += int((inputs["input_ids"] != padding).sum())
        causal_lm = self.accelerator.unwrap_model(model).get_base_model()
        if causal_lm.device.type != "cpu" or not can_compute(causal_lm):
            loss = super().compute_loss(
                model,
                inputs,
                num_items_in_batch=num_items_in_batch,
            )
        else:
            count = num_items_in_batch
            if count is None:
                count = _labelled(inputs)
            loss = labelled_loss(causal_lm, inputs, count)
        if not torch.isfinite(loss.detach()):
            raise TrainingError(
                f"the loss is {loss.item()} at step "
                f"{self.state.global_step + 1}",
                fix="lower learning_rate, or compute in bfloat16 or float32",
            )
        return loss

    def mean_loss(self, rows: TrainingRows) -> float | None:
        """The mean over all labelled tokens of rows; None without rows."""
        if not rows.rows:
            return None
        was_training = self.model.training
        self.model.eval()
        total = count = 0.0
        loader = self.get_eval_dataloader(Dataset.from_list(rows.rows))
        with torch.no_grad(), self.compute_loss_context_manager():
            for inputs in loader:
                inputs = self._prepare_inputs(inputs)
                labelled = int(_labelled(inputs))
                loss = self.compute_loss(
                    self.model,
                    inputs,
                    num_items_in_batch=torch.tensor(labelled),
                )
                total += loss.item() * labelled
                count += labelled
        self.model.train(was_training)
        return total / count


def _labelled(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """How many positions have a label to predict."""
    return (inputs["labels"][:, 1:] != IGNORED).sum()
