# -*- coding: utf-8 -*-
"""The language-model loss of labelled tokens, computed for them alone.

trl's fused loss projects every position through the head where no Triton is at
hand. On a CPU, with a vocabulary of 262,144, that is more than half of a step.
Here only labelled positions meet the head, in blocks, and the gradient is made
in the same pass, since the head is frozen. Equal to the plain cross-entropy.
"""

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IGNORED = -100
"""The label of a token that is not under the loss."""

_BLOCK = 64
"""Positions projected at a time; 64 x 262,144 float32 logits are 64 MiB."""

_SCALES = (
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "final_logit_softcapping",
)


def can_compute(model: "PreTrainedModel") -> bool:
    """Whether this module's loss is the model's own.

    It is where the head is frozen and the logits are the plain product.
    """
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    plain = not any(getattr(config, name, None) for name in _SCALES)
    return plain and head.bias is None and not head.weight.requires_grad


def labelled_loss(
    model: "PreTrainedModel",
    inputs: dict[str, Any],
    count: int | torch.Tensor,
) -> torch.Tensor:
    """Cross-entropy of the labelled tokens, divided by a count.

    Args:
        model (`PreTrainedModel`):
            A causal language model that `can_compute` accepts.
        inputs (`dict[str, Any]`):
            `input_ids` and `labels`, shape (rows, tokens), and what else the
            model takes.
        count (`int | torch.Tensor`):
            The labelled tokens of the whole optimizer step.

    Returns:
        `torch.Tensor`: A scalar, in float32.
    """
    arguments = {k: v for k, v in inputs.items() if k != "labels"}
    hidden = model.base_model(
        **{**arguments, "use_cache": False},
    ).last_hidden_state
    labels = inputs["labels"][:, 1:]
    is_labelled = labels != IGNORED
    total = _FrozenHeadLoss.apply(
        hidden[:, :-1][is_labelled],
        model.get_output_embeddings().weight,
        labels[is_labelled],
    )
    return total / torch.as_tensor(count).clamp(min=1)


class _FrozenHeadLoss(torch.autograd.Function):
    """Sum of cross-entropies of hidden states through a frozen head."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,  # (labelled, width)
        weight: torch.Tensor,  # (vocabulary, width)
        labels: torch.Tensor,  # (labelled,)
    ) -> torch.Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(hidden)
        for start in range(0, len(labels), _BLOCK):
            block = slice(start, start + _BLOCK)
            logits = (hidden[block] @ weight.T).float()
            log_probs = torch.log_softmax(logits, dim=-1, out=logits)
            chosen = labels[block, None]
            total -= log_probs.gather(1, chosen).sum()
            if ctx.needs_input_grad[0]:
                # d(-log p)/d(logits) = p - one at the label
                error = log_probs.exp_()
                error.scatter_add_(
                    1, chosen, torch.full_like(chosen, -1.0, dtype=error.dtype)
                )
                gradient[block] = error.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, grad_total: torch.Tensor) -> tuple:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_total.to(gradient.dtype), None, None
