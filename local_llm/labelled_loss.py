# -*- coding: utf-8 -*-
"""The language-model loss of labelled tokens, computed for them alone.

trl's fused loss projects every position through the head where no Triton is at
hand. On a CPU, with a vocabulary of 262,144, that is more than half of a step.
Here only labelled positions meet the head, in blocks, and the gradient is made
in the same pass, since the head is frozen. Equal to the plain cross-entropy.
"""

import functools
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IGNORED = -100
"""The label of a token that is not under the loss."""

BLOCK = 64
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

    It is where the logits are the plain product with a frozen head, or what
    a head computes that an adapter has wrapped.
    """
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    if any(getattr(config, name, None) for name in _SCALES):
        return False
    if not _is_plain(head):
        return True
    return head.bias is None and not head.weight.requires_grad


def is_wanted(model: "PreTrainedModel") -> bool:
    """Whether this module's loss is better than trl's: faster on a CPU, and
    the only right one where an adapter changes rows of a tied head, of which
    trl reads the bare weight."""
    on_cpu = model.device.type == "cpu"
    reads_it = hasattr(model.get_output_embeddings(), "bias")
    return can_compute(model) and (on_cpu or not reads_it)


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
    learned, wanted = hidden[:, :-1][is_labelled], labels[is_labelled]
    head = model.get_output_embeddings()
    if _is_plain(head):
        total = _FrozenHeadLoss.apply(learned, head.weight, wanted)
    else:
        total = torch.nn.functional.cross_entropy(
            head(learned).float(),
            wanted,
            reduction="sum",
        )
    return total / torch.as_tensor(count).clamp(min=1)


def add_labelled_loss(model: "PreTrainedModel") -> None:
    """Let a model's forward return this loss where a count is given.

    So the loss is part of the forward, which wrappers for several processes
    need to see. Undone by removing the model's own `forward` attribute.
    """
    plain_forward = model.forward

    # `generate` reads the names of the arguments off the forward.
    @functools.wraps(type(model).forward)
    def forward(
        *args: Any,
        labelled_count: int | torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if labelled_count is None:
            return plain_forward(*args, **kwargs)
        return {"loss": labelled_loss(model, kwargs, labelled_count)}

    model.forward = forward


def _is_plain(head: torch.nn.Module) -> bool:
    return type(head) is torch.nn.Linear


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
        for start in range(0, len(labels), BLOCK):
            block = slice(start, start + BLOCK)
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
