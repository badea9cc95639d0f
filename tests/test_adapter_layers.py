# -*- coding: utf-8 -*-
"""Whatever peft can put on a model trains, is saved, and is nobody else's."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import conversation, load_own, prompt, reply

from local_llm.adapter_layers import reads_base_weights
from local_llm.adapters import (
    active_adapter,
    adapter_parameters,
    add_adapter,
    copy_adapter,
    load_adapter,
    remove_adapter,
    save_adapter,
    use_weights_for_replies,
)
from local_llm.base_model import BaseModel
from local_llm.errors import ConfigError, WeightsError
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights, write_tensors
from local_llm.training import train

QUESTION = "What is the capital of France?"
ROWS = [
    conversation("What is the capital?", "Paris.", where="1"),
    conversation("Count.", "One, two, three.", where="2"),
]
FIELDS: dict[str, dict[str, Any]] = {
    "rank-stabilized": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "DoRA of some": {"use_dora": True, "target_modules": ["q_proj"]},
    "dropout": {"lora_dropout": 0.1},
    "own bias": {"lora_bias": True},
    "patterns": {
        "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"q_proj": 7},
    },
    "one layer": {"layers_to_transform": [1], "target_modules": ["q_proj"]},
    "list of modules": {"target_modules": ["q_proj", "v_proj"]},
    "regex of modules": {"target_modules": r".*\.(q|k)_proj"},
    "excluded": {"exclude_modules": ["down_proj"]},
    "gaussian": {"init_lora_weights": "gaussian"},
    "no start": {"init_lora_weights": False},
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "whole norms": {"modules_to_save": ["norm", "input_layernorm"]},
    "whole head": {"modules_to_save": ["lm_head"]},
    "whole embedding": {"modules_to_save": ["embed_tokens"]},
    "rows of a tied embedding": {"trainable_token_indices": [4, 5]},
}


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In 4-bit; it has answered, so its weights have been packed."""
    base = load_own(tiny_folder, tmp_path_factory.mktemp("base"))
    reply(base, QUESTION)
    return base


def logits(base: BaseModel, adapter: str | None) -> torch.Tensor:
    """As in a reply."""
    use_weights_for_replies(base, adapter)
    ids = torch.tensor([prompt(base, QUESTION)])
    with active_adapter(base, adapter), torch.inference_mode():
        return base.model(ids, use_cache=False).logits.clone()


def frozen(base: BaseModel) -> list[torch.Tensor]:
    """The weights that belong to no adapter, packing undone."""
    base.weights.use_for_training()
    return [
        parameter.detach().clone()
        for key, parameter in base.model.named_parameters()
        if ".adapter" not in key
    ]


@dataclass
class Tuned:
    """An adapter after three steps, and what there was before."""

    base: BaseModel
    name: str
    before: dict[str, torch.Tensor]
    base_before: list[torch.Tensor]
    base_logits: torch.Tensor
    losses: list[float]


@pytest.fixture(name="tuned", scope="module", params=list(FIELDS))
def fixture_tuned(
    request: pytest.FixtureRequest,
    base: BaseModel,
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tuned:
    config = FIELDS[request.param]
    if "embedding" in request.param:
        # peft puts only one kind of part on an embedding.
        base = load_own(tiny_folder, tmp_path_factory.mktemp("own"))
    base_logits, base_before = logits(base, None), frozen(base)
    name = add_adapter(base, {"r": 4, **config})
    before = {
        key: one.detach().clone()
        for key, one in adapter_parameters(base, name).items()
    }
    settings = FineTuneSettings(
        lora_config=config,
        training_args={
            "max_steps": 3,
            "save_strategy": "no",
            "learning_rate": 0.05,
            "warmup_steps": 0,
        },
        max_seq_length=128,
    )
    folder = tmp_path_factory.mktemp("run")
    result = train(AdapterWeights(base, name), ROWS, [], settings, folder)
    losses = [loss for _, loss in result.losses]
    return Tuned(base, name, before, base_before, base_logits, losses)


def test_every_tensor_of_it_learns_and_is_kept_exactly(tuned: Tuned) -> None:
    after = adapter_parameters(tuned.base, tuned.name)
    assert after.keys() == tuned.before.keys()
    same = [k for k, one in after.items() if torch.equal(one, tuned.before[k])]
    assert same == []
    assert {one.dtype for one in after.values()} == {torch.float32}
    assert tuned.losses[-1] < tuned.losses[0]


def test_the_base_and_what_it_answers_stay_bit_equal(tuned: Tuned) -> None:
    after = frozen(tuned.base)
    assert len(after) == len(tuned.base_before)
    assert all(map(torch.equal, after, tuned.base_before))
    assert torch.equal(logits(tuned.base, None), tuned.base_logits)
    assert not torch.equal(logits(tuned.base, tuned.name), tuned.base_logits)


def test_it_is_the_same_when_saved_and_loaded(
    tuned: Tuned,
    tmp_path: Path,
) -> None:
    save_adapter(tuned.base, tuned.name, tmp_path)
    again = load_adapter(tuned.base, tmp_path)
    expected = logits(tuned.base, tuned.name)
    assert torch.equal(logits(tuned.base, again), expected)
    answers = [reply(tuned.base, QUESTION, adapter=again) for _ in range(2)]
    assert answers == [reply(tuned.base, QUESTION, adapter=tuned.name)] * 2
    remove_adapter(tuned.base, again)
    assert torch.equal(logits(tuned.base, tuned.name), expected)


def test_a_copy_is_equal(tuned: Tuned) -> None:
    copy = copy_adapter(tuned.base, tuned.name)
    expected = logits(tuned.base, tuned.name)
    assert torch.equal(logits(tuned.base, copy), expected)
    remove_adapter(tuned.base, copy)


def test_a_checkpoint_brings_it_back(tuned: Tuned, tmp_path: Path) -> None:
    weights = AdapterWeights(tuned.base, tuned.name)
    file = tmp_path / "weights.safetensors"
    write_tensors(weights.parameters(), file)
    before = weights.copy()
    for parameter in weights.parameters().values():
        parameter.data.zero_()
    weights.put(weights.read(file))
    after = weights.copy()
    assert before.keys() == after.keys() != set()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_an_adapter_that_reads_the_base_sees_the_weights_of_training(
    base: BaseModel,
) -> None:
    """Packed weights hold other bytes: norms of them would be nonsense."""
    name = add_adapter(base, {"r": 4, "use_dora": True})
    assert reads_base_weights(base.model, name)
    answered = logits(base, name)
    base.weights.use_for_training()
    ids = torch.tensor([prompt(base, QUESTION)])
    with active_adapter(base, name), torch.inference_mode():
        exact = base.model(ids, use_cache=False).logits
    assert torch.equal(answered, exact)
    assert not reads_base_weights(base.model, add_adapter(base, {"r": 4}))


def test_whole_layers_of_one_adapter_are_not_those_of_another(
    base: BaseModel,
) -> None:
    names = [
        add_adapter(base, {"r": 4, "modules_to_save": ["norm"]}),
        add_adapter(base, {"r": 4, "modules_to_save": ["norm"]}),
        add_adapter(base, {"r": 4}),
    ]
    before = [logits(base, name) for name in names]
    for key, one in adapter_parameters(base, names[0]).items():
        if "modules_to_save" in key:
            one.data += 1.0
    after = [logits(base, name) for name in names]
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert torch.equal(before[2], after[2])


def test_every_linear_layer_means_those_of_the_model_alone(
    tiny: BaseModel,
) -> None:
    before = set(adapter_parameters(tiny, add_adapter(tiny, None)))
    add_adapter(tiny, {"modules_to_save": ["lm_head"]})
    name = add_adapter(tiny, None)
    after = set(adapter_parameters(tiny, name))
    assert {one.replace(name, "adapter") for one in after} == {
        re.sub(r"adapter\d+", "adapter", one) for one in before
    }


@pytest.mark.parametrize(
    "config",
    [
        {"bias": "all"},
        {"init_lora_weights": "olora"},
        {"layer_replication": [[0, 2], [0, 2]]},
        {"init_lora_weights": "orthogonal"},  # torch refuses it in 4-bit
        {"modules_to_save": ["q_proj"]},  # its weights are quantized
    ],
    ids=str,
)
def test_what_cannot_be_put_on_changes_nothing(
    base: BaseModel,
    config: dict[str, Any],
) -> None:
    weights, answer = frozen(base), logits(base, None)
    with pytest.raises(ConfigError) as caught:
        add_adapter(base, config)
    assert caught.value.where == "fine_tune_config.lora_config"
    assert all(map(torch.equal, frozen(base), weights))
    assert torch.equal(logits(base, None), answer)


def test_an_adapter_of_others_that_wants_another_base_is_refused(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    save_adapter(base, add_adapter(base, {"r": 4}), tmp_path)
    file = tmp_path / "adapter_config.json"
    text = file.read_text().replace(
        '"init_lora_weights": true',
        '"init_lora_weights": "pissa"',
    )
    file.write_text(text)
    weights = frozen(base)
    with pytest.raises(WeightsError, match="found 'pissa': it would change"):
        load_adapter(base, tmp_path)
    assert all(map(torch.equal, frozen(base), weights))
