# -*- coding: utf-8 -*-
"""An adapter and a whole model are copied, kept and brought back alike."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import load_own, reply
from transformers import AutoModelForCausalLM

from local_llm.adapters import add_adapter, peft_model
from local_llm.base_model import BaseModel
from local_llm.errors import CheckpointError, WeightsError
from local_llm.trained_weights import (
    AdapterWeights,
    AllWeights,
    TrainedWeights,
    read_tensors,
    write_tensors,
)

QUESTION = "What is the capital of France?"
Make = Callable[[], TrainedWeights]


@pytest.fixture(name="make", params=["adapter", "all"])
def fixture_make(
    request: pytest.FixtureRequest,
    tiny_folder: Path,
    tmp_path: Path,
) -> Make:
    """Weights of either kind; the second call makes others of that kind."""
    if request.param == "adapter":
        base = load_own(tiny_folder, tmp_path)
        return lambda: AdapterWeights(base, add_adapter(base, {"r": 4}))
    numbers = iter(range(9))
    return lambda: AllWeights(
        load_own(
            tiny_folder,
            tmp_path / str(next(numbers)),
            quantization={},
            dtype="float32",
        ),
    )


def test_only_they_take_gradients_and_nothing_does_afterwards(
    make: Make,
) -> None:
    weights = make()
    own = set(map(id, weights.parameters().values()))
    with weights.trainable():
        trained = {
            id(p) for p in weights.module.parameters() if p.requires_grad
        }
        assert trained == own != set()
    assert not any(p.requires_grad for p in weights.module.parameters())


def test_a_copy_stays_as_it_was_and_can_be_put_back(make: Make) -> None:
    weights = make()
    before = weights.copy()
    with torch.no_grad():
        for parameter in weights.parameters().values():
            parameter.add_(1.0)
    assert not any(
        torch.equal(before[name], one)
        for name, one in weights.parameters().items()
    )
    weights.put(before)
    after = weights.copy()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_names_are_the_same_in_another_process(make: Make) -> None:
    assert make().parameters().keys() == make().parameters().keys()


def test_what_is_written_is_read_bit_by_bit(
    make: Make,
    tmp_path: Path,
) -> None:
    weights, file = make(), tmp_path / "weights.safetensors"
    write_tensors(weights.parameters(), file)
    found, copy = weights.read(file), weights.copy()
    assert found.keys() == copy.keys()
    assert all(torch.equal(found[name], copy[name]) for name in copy)


def test_a_file_of_other_weights_is_refused(
    tiny: BaseModel,
    tmp_path: Path,
) -> None:
    file = tmp_path / "weights.safetensors"
    small, large = (add_adapter(tiny, {"r": rank}) for rank in (2, 4))
    write_tensors(AdapterWeights(tiny, small).parameters(), file)
    with pytest.raises(CheckpointError, match="holds other weights"):
        AdapterWeights(tiny, large).read(file)


@pytest.mark.parametrize("content", [None, b"", b"\x00garbage" * 9])
def test_a_damaged_file_is_an_error_with_its_place(
    tmp_path: Path,
    content: bytes | None,
) -> None:
    file = tmp_path / "weights.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(file)):
        read_tensors(file)


def test_a_released_adapter_is_off_the_model(tiny: BaseModel) -> None:
    weights = AdapterWeights(tiny, add_adapter(tiny, None))
    weights.release()
    assert peft_model(tiny).peft_config == {}
    assert weights.parameters() == {}


def test_an_adapter_on_a_bare_model_is_an_error(tiny: BaseModel) -> None:
    with pytest.raises(WeightsError, match="has no adapter"):
        _ = AdapterWeights(tiny, "adapter0").module


def test_a_published_model_is_one_of_transformers_that_ends_its_turns(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    base = load_own(tiny_folder, tmp_path, quantization={}, dtype="float32")
    before = base.model.generation_config.to_dict()
    answer = reply(base, QUESTION)
    AllWeights(base).publish(tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    end_of_turn = base.chat_format.end_of_turn_id
    assert loaded.generation_config.eos_token_id == [1, end_of_turn]
    assert loaded.dtype == torch.float32
    own = dict(base.model.named_parameters())
    for name, one in loaded.named_parameters():
        assert torch.equal(one, own[name])
    assert base.model.generation_config.to_dict() == before
    assert reply(base, QUESTION) == answer
