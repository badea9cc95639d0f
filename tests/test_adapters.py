# -*- coding: utf-8 -*-
"""Adapters share a base and never each other's weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import (
    VOCABULARY,
    gemma,
    load_own,
    prompt,
    reply,
    request_for,
    save_model,
)

from local_llm.adapter_files import ADAPTER_FILE, BASE_FILE
from local_llm.adapters import (
    active_adapter,
    adapter_parameters,
    add_adapter,
    load_adapter,
    peft_model,
    remove_adapter,
    save_adapter,
)
from local_llm.base_model import BaseModel, load_base_model
from local_llm.errors import ConfigError, LocalLLMError, WeightsError

QUESTION = "What is the capital of France?"


@pytest.fixture(name="base")
def fixture_base(tiny: BaseModel) -> BaseModel:
    return tiny


def add_trained(base: BaseModel, seed: int, **config: Any) -> str:
    """An adapter as if it had been trained: none of its tensors is 0."""
    name = add_adapter(base, {"r": 4, **config})
    generator = torch.Generator().manual_seed(seed)
    for parameter in adapter_parameters(base, name).values():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return name


def logits(base: BaseModel, adapter: str | None) -> torch.Tensor:
    ids = torch.tensor([prompt(base, QUESTION)])
    with active_adapter(base, adapter), torch.no_grad():
        return base.model(ids, use_cache=False).logits


def tensors(base: BaseModel, name: str) -> list[torch.Tensor]:
    return [
        one.detach().clone() for one in adapter_parameters(base, name).values()
    ]


def all_equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def saved(base: BaseModel, name: str, folder: Path) -> Path:
    folder.mkdir()
    save_adapter(base, name, folder)
    return folder


def test_a_fresh_adapter_changes_no_output(base: BaseModel) -> None:
    before = logits(base, None)
    assert torch.equal(logits(base, add_adapter(base, None)), before)


def test_a_fresh_adapter_is_float32_and_of_the_default_rank(
    base: BaseModel,
) -> None:
    parameters = adapter_parameters(base, add_adapter(base, None))
    assert len(parameters) == 28  # 2 layers x 7 projections x A and B
    assert {one.dtype for one in parameters.values()} == {torch.float32}
    assert {min(one.shape) for one in parameters.values()} == {16}


def test_the_base_answers_as_before_with_adapters_on_it(
    base: BaseModel,
) -> None:
    before = logits(base, None)
    name = add_trained(base, 1)
    assert not torch.equal(logits(base, name), before)
    assert torch.equal(logits(base, None), before)


def test_adapters_do_not_disturb_each_other(base: BaseModel) -> None:
    first = add_trained(base, 1)
    alone = logits(base, first)
    second = add_trained(base, 2, lora_alpha=8)
    assert not torch.equal(logits(base, second), alone)
    assert torch.equal(logits(base, first), alone)
    remove_adapter(base, second)
    assert torch.equal(logits(base, first), alone)


def test_an_adapter_can_be_saved_when_the_first_one_is_gone(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    remove_adapter(base, add_trained(base, 1))
    second = add_trained(base, 2)
    expected = tensors(base, second)
    folder = saved(base, second, tmp_path / "adapter")
    assert all_equal(tensors(base, load_adapter(base, folder)), expected)


def test_no_adapter_is_active_after_use_even_after_an_exception(
    base: BaseModel,
) -> None:
    ids = torch.tensor([prompt(base, QUESTION)])
    before = logits(base, None)
    name = add_trained(base, 1)
    with pytest.raises(KeyError), active_adapter(base, name):
        raise KeyError("stop")
    with torch.no_grad():
        assert torch.equal(base.model(ids, use_cache=False).logits, before)


def test_an_adapter_that_is_not_there_is_an_error(base: BaseModel) -> None:
    name = add_trained(base, 1)
    remove_adapter(base, name)
    with (
        pytest.raises(WeightsError, match=f"has no adapter '{name}'"),
        active_adapter(base, name),
    ):
        pytest.fail("it would compute without the adapter")


def test_names_are_never_used_twice(base: BaseModel) -> None:
    names = [add_adapter(base, None)]
    remove_adapter(base, names[0])
    names += [add_adapter(base, None), add_adapter(base, None)]
    assert len(set(names)) == 3


def test_the_tensors_of_an_adapter_are_told_from_those_of_others(
    base: BaseModel,
) -> None:
    names = [add_adapter(base, {"r": 4}) for _ in range(11)]
    for name in names:
        assert len(adapter_parameters(base, name)) == 28
    assert len(set(map(id, adapter_parameters(base, names[0]).values()))) == 28


def test_a_saved_adapter_is_the_same_when_loaded(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    name = add_trained(base, 1, lora_alpha=8, lora_dropout=0.5)
    folder = saved(base, name, tmp_path / "adapter")
    again = load_adapter(base, folder)
    assert again != name
    assert all_equal(tensors(base, again), tensors(base, name))
    assert torch.equal(logits(base, again), logits(base, name))


def test_a_saved_adapter_loads_on_a_base_that_has_none(
    base: BaseModel,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    name = add_trained(base, 1)
    folder = saved(base, name, tmp_path / "adapter")
    other = load_own(tiny_folder, tmp_path / "other")
    again = load_adapter(other, folder)
    assert all_equal(tensors(other, again), tensors(base, name))
    assert reply(other, QUESTION, adapter=again) == (
        reply(base, QUESTION, adapter=name)
    )


def test_a_saved_adapter_is_safetensors_as_peft_lays_them_out(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    add_trained(base, 1)
    folder = saved(base, add_trained(base, 2), tmp_path / "adapter")
    names = {file.name for file in folder.iterdir()}
    assert names - {"README.md"} == {
        ADAPTER_FILE,
        BASE_FILE,
        "adapter_config.json",
    }
    content = load_file(folder / ADAPTER_FILE)
    assert len(content) == 28
    assert all(key.startswith("base_model.model.") for key in content)


def test_saving_leaves_the_adapter_as_it_was(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    name = add_trained(base, 1)
    before = tensors(base, name)
    saved(base, name, tmp_path / "adapter")
    assert all_equal(tensors(base, name), before)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"hidden_size": 32}, id="another hidden size"),
        pytest.param({"num_hidden_layers": 3}, id="more layers"),
        pytest.param({"num_hidden_layers": 1}, id="fewer layers"),
        pytest.param({"intermediate_size": 192}, id="another inner size"),
        pytest.param({"seed": 9}, id="other weights"),
    ],
)
def test_an_adapter_of_another_base_is_refused_and_leaves_nothing(
    base: BaseModel,
    tmp_path: Path,
    changes: dict[str, int],
) -> None:
    other = load_base_model(
        request_for(save_model(tmp_path / "other", gemma(**changes))),
    )
    folder = saved(other, add_trained(other, 1), tmp_path / "adapter")
    kept = add_trained(base, 2)
    before = logits(base, kept)
    with pytest.raises(WeightsError) as caught:
        load_adapter(base, folder)
    assert "belongs to another base model" in caught.value.message
    assert str(folder) in caught.value.message
    assert list(peft_model(base).peft_config) == [kept]
    assert torch.equal(logits(base, kept), before)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 32}, {"num_hidden_layers": 3}],
)
def test_shapes_tell_another_base_where_an_adapter_does_not_name_its_own(
    base: BaseModel,
    tmp_path: Path,
    changes: dict[str, int],
) -> None:
    other = load_base_model(
        request_for(save_model(tmp_path / "other", gemma(**changes))),
    )
    folder = saved(other, add_trained(other, 1), tmp_path / "adapter")
    (folder / BASE_FILE).unlink()
    before = reply(base, QUESTION)
    with pytest.raises(WeightsError, match="tensors differ, first"):
        load_adapter(base, folder)
    assert peft_model(base).peft_config == {}
    assert reply(base, QUESTION) == before


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **changes}))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "tensors cut": (lambda f: truncate(f / ADAPTER_FILE), "is damaged"),
    "tensors garbage": (
        lambda f: (f / ADAPTER_FILE).write_bytes(b"\x00garbage" * 9),
        "is damaged",
    ),
    "tensors empty": (
        lambda f: (f / ADAPTER_FILE).write_bytes(b""),
        "is damaged",
    ),
    "no tensors": (
        lambda f: (f / ADAPTER_FILE).unlink(),
        f"has no {ADAPTER_FILE}",
    ),
    "no config": (
        lambda f: (f / "adapter_config.json").unlink(),
        "adapter_config.json cannot be read",
    ),
    "config garbage": (
        lambda f: (f / "adapter_config.json").write_text("{"),
        "adapter_config.json cannot be read",
    ),
    "config a list": (
        lambda f: (f / "adapter_config.json").write_text("[]"),
        "adapter_config.json cannot be read",
    ),
    "base garbage": (
        lambda f: (f / BASE_FILE).write_text("[]"),
        f"{BASE_FILE} cannot be read",
    ),
    "rank no number": (lambda f: change_config(f, r="x"), "cannot be put on"),
    "modules no expression": (
        lambda f: change_config(f, target_modules="("),
        "cannot be put on",
    ),
    "layers twice": (
        lambda f: change_config(f, layer_replication=[[0, 2], [1, 2]]),
        "layer_replication: cannot be set: it would change the base model",
    ),
    "whole modules": (
        lambda f: change_config(f, modules_to_save=["lm_head"]),
        "1 tensors differ",
    ),
    "started from the base": (
        lambda f: change_config(f, init_lora_weights="pissa_niter_4"),
        "init_lora_weights: wanted true",
    ),
    "a library that is not there": (
        lambda f: change_config(f, init_lora_weights="loftq"),
        "init_lora_weights: wanted true",
    ),
    "a module to import": (
        lambda f: change_config(
            f,
            megatron_config={"a": 1},
            megatron_core="antigravity",
        ),
        "megatron_config: cannot be set",
    ),
    "rank negative": (lambda f: change_config(f, r=-1), "cannot be put on"),
    "rank another": (lambda f: change_config(f, r=8), "28 tensors differ"),
    "modules of another family": (
        lambda f: change_config(f, target_modules=["c_attn"]),
        "c_attn",
    ),
    "another method": (
        lambda f: change_config(f, peft_type="PREFIX_TUNING"),
        "is not one of LoRA",
    ),
}


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_adapter_is_refused_and_leaves_nothing(
    base: BaseModel,
    tmp_path: Path,
    damage: str,
    others: int,
) -> None:
    name = add_trained(base, 1)
    folder = saved(base, name, tmp_path / "adapter")
    if not others:
        remove_adapter(base, name)
    before = reply(base, QUESTION)
    act, text = DAMAGES[damage]
    act(folder)
    with pytest.raises(WeightsError) as caught:
        load_adapter(base, folder)
    assert text in caught.value.message
    assert str(folder) in caught.value.message
    assert len(peft_model(base).peft_config) == others
    assert reply(base, QUESTION) == before


def test_a_first_adapter_that_is_refused_leaves_the_base_usable(
    base: BaseModel,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    other = load_own(tiny_folder, tmp_path / "other")
    folder = saved(other, add_trained(other, 1), tmp_path / "adapter")
    change_config(folder, target_modules=["c_attn"])
    before = reply(base, QUESTION)
    with pytest.raises(WeightsError):
        load_adapter(base, folder)
    assert reply(base, QUESTION) == before
    name = add_trained(base, 2)
    assert not torch.equal(logits(base, name), logits(base, None))


def test_a_folder_that_does_not_exist_has_no_adapter(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    with pytest.raises(WeightsError, match="/nowhere has no adapter_model"):
        load_adapter(base, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "config",
    [
        {"r": 0},
        {"target_modules": ["no_such_module"]},
        {"no_such_key": 1},
        {"r": "x"},
        {"init_lora_weights": "orthogonal"},  # which 4-bit layers have not
        {"trainable_token_indices": [VOCABULARY]},
        {"trainable_token_indices": {"embed_tokens": [-1]}},
    ],
)
@pytest.mark.parametrize("others", [0, 1])
def test_a_config_that_peft_refuses_names_its_entry(
    base: BaseModel,
    config: dict[str, Any],
    others: int,
) -> None:
    for _ in range(others):
        add_adapter(base, None)
    with pytest.raises(LocalLLMError) as caught:
        add_adapter(base, config)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.where == "fine_tune_config.lora_config"
    name = add_trained(base, 1)
    assert len(peft_model(base).peft_config) == others + 1
    assert not torch.equal(logits(base, name), logits(base, None))


def test_every_token_that_the_model_does_not_have_is_named(
    base: BaseModel,
) -> None:
    with pytest.raises(ConfigError) as caught:
        add_adapter(base, {"trainable_token_indices": [5, 99999, -1]})
    assert [one.rpartition(", ")[2] for one in caught.value.problems] == [
        "found 99999",
        "found -1",
    ]
    assert caught.value.problems[0].startswith(
        f"trainable_token_indices: wanted tokens from 0 to {VOCABULARY - 1},",
    )


@pytest.mark.parametrize("error", [KeyError("x"), IndexError("x")])
def test_whatever_peft_finds_wrong_is_told_and_taken_off(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr("local_llm.adapters.make_exact", refuse)
    with pytest.raises(ConfigError, match="x"):
        add_adapter(base, {"r": 4})
    assert not peft_model(base).peft_config


def test_a_base_without_adapters_has_no_wrapped_model(
    base: BaseModel,
) -> None:
    with pytest.raises(WeightsError, match="has no adapter"):
        peft_model(base)
    assert adapter_parameters(base, "adapter1") == {}


def test_removing_frees_the_tensors_and_twice_is_harmless(
    base: BaseModel,
) -> None:
    name = add_trained(base, 1)
    remove_adapter(base, name)
    remove_adapter(base, name)
    assert adapter_parameters(base, name) == {}
    assert not [k for k, _ in base.model.named_parameters() if "lora_" in k]


def test_the_last_adapter_may_go_and_another_may_come(
    base: BaseModel,
) -> None:
    before = logits(base, None)
    remove_adapter(base, add_trained(base, 1))
    assert torch.equal(logits(base, None), before)
    name = add_trained(base, 2)
    assert not torch.equal(logits(base, name), before)
