# -*- coding: utf-8 -*-
"""The forward is given what its model takes, and nothing else."""

import torch
from tiny_models import gemma
from transformers import DynamicCache, PreTrainedModel

from local_llm.model_step import ModelStep

IDS = torch.arange(40, 50)[None]
PLACES = torch.arange(10)[None]


class Old(torch.nn.Module):
    """A model of before transformers 5.24, which counts places itself."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, object] = {}

    @property
    def base_model(self) -> "Old":
        return self

    def forward(
        self,
        input_ids,
        attention_mask=None,
        past_key_values=None,
        use_cache=None,
    ):
        self.given = {"mask": attention_mask, "cache": past_key_values}
        logits = torch.zeros(*input_ids.shape, 7, dtype=torch.bfloat16)
        return type("Output", (), {"logits": logits})()


def whole(model: PreTrainedModel) -> torch.Tensor:
    return model(IDS, use_cache=False).logits


def test_parts_of_a_prompt_give_the_scores_of_the_whole() -> None:
    model = gemma().eval()
    step, cache = ModelStep(model), DynamicCache(config=model.config)
    with torch.inference_mode():
        step.read(IDS[:, :6], PLACES[:, :6], cache)
        found = step.scores(IDS[:, 6:], PLACES[:, 6:], None, cache)
        expected = whole(model)[:, -1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert cache.get_seq_length() == 10


def test_scores_are_float32_and_one_row_of_them_for_each_row() -> None:
    model = gemma().to(torch.bfloat16).eval()
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        scores = ModelStep(model).scores(
            IDS.expand(3, -1), PLACES.expand(3, -1), None, cache
        )
    assert scores.dtype == torch.float32
    assert scores.shape == (3, model.config.vocab_size)


def test_padding_is_hidden_by_the_mask() -> None:
    model = gemma().eval()
    padded = torch.cat([torch.zeros(1, 3, dtype=torch.long), IDS], dim=1)
    mask = (torch.arange(13) >= 3).long()[None]
    places = torch.cat([torch.zeros(1, 3, dtype=torch.long), PLACES], dim=1)
    with torch.inference_mode():
        cache = DynamicCache(config=model.config)
        found = ModelStep(model).scores(padded, places, mask, cache)
        expected = whole(model)[:, -1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_model_with_the_older_names_is_served_too() -> None:
    model, cache = Old(), DynamicCache()
    scores = ModelStep(model).scores(  # type: ignore[arg-type]
        IDS, PLACES, None, cache
    )
    assert scores.shape == (1, 7)
    assert model.given == {"mask": None, "cache": cache}


def test_the_head_is_left_out_where_nobody_asks_for_scores() -> None:
    model = gemma().eval()
    model.lm_head.register_forward_hook(lambda *_: 1 / 0)
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        ModelStep(model).read(IDS, PLACES, cache)
    assert cache.get_seq_length() == 10
