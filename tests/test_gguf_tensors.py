# -*- coding: utf-8 -*-
"""Tensors get the names, the order of rows and the values of a GGUF file."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_gguf import (
    LLAMA_3_SCALING,
    gemma1,
    gemma3_of_six_layers,
    llama,
    save,
    sentencepiece,
)
from transformers import PreTrainedModel

from local_llm.errors import WeightsError
from local_llm.gguf_families import family_of
from local_llm.gguf_tensors import (
    GgufTensor,
    Kind,
    load_tensor,
    plan_tensors,
)


def planned(
    model: PreTrainedModel,
    folder: Path,
    kind: Kind = "f16",
) -> dict[str, GgufTensor]:
    """The plan for a model, by name."""
    save(folder, model, sentencepiece())
    family = family_of(model.config, "here")
    plan = plan_tensors(folder, model.config, family, kind)
    return {tensor.name: tensor for tensor in plan}


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace stored tensors; None takes one out."""
    path = folder / "model.safetensors"
    tensors = {**load_file(path), **changes}
    kept = {key: one for key, one in tensors.items() if one is not None}
    save_file(kept, path, metadata={"format": "pt"})


def test_gemmas_norms_get_the_one_that_the_model_adds(tmp_path: Path) -> None:
    model = gemma1()
    plan = planned(model, tmp_path)
    found = load_tensor(plan["blk.1.ffn_norm.weight"])
    norm = model.model.layers[1].post_attention_layernorm.weight
    assert found.dtype == np.float32
    assert np.array_equal(found, 1 + norm.detach().numpy())


def test_llamas_norms_stay_as_they_are(tmp_path: Path) -> None:
    model = llama()
    found = load_tensor(planned(model, tmp_path)["output_norm.weight"])
    assert np.array_equal(found, model.model.norm.weight.detach().numpy())


def test_rows_that_llama_rotates_together_become_neighbours(
    tmp_path: Path,
) -> None:
    model = llama()
    plan = planned(model, tmp_path)
    attention = model.model.layers[0].self_attn
    for name, projection in (("q", attention.q_proj), ("k", attention.k_proj)):
        found = load_tensor(plan[f"blk.0.attn_{name}.weight"])
        rows = projection.weight.detach().numpy().astype(np.float16)
        # A head has 32 rows; its first goes with its seventeenth.
        assert np.array_equal(found[[0, 1, 2, 3]], rows[[0, 16, 1, 17]])
        assert np.array_equal(found[[32, 33]], rows[[32, 48]])


def test_gemmas_rows_keep_their_order(tmp_path: Path) -> None:
    model = gemma1()
    found = load_tensor(planned(model, tmp_path)["blk.0.attn_q.weight"])
    rows = model.model.layers[0].self_attn.q_proj.weight.detach().numpy()
    assert np.array_equal(found, rows.astype(np.float16))


def test_a_tied_head_is_written_once_and_another_twice(tmp_path: Path) -> None:
    tied = planned(gemma3_of_six_layers(), tmp_path / "a")
    free = gemma3_of_six_layers(tie_word_embeddings=False)
    assert "output.weight" not in tied
    assert "output.weight" in planned(free, tmp_path / "b")


def test_a_tied_head_that_is_stored_all_the_same_is_left_out(
    tmp_path: Path,
) -> None:
    model = gemma1()
    expected = planned(model, tmp_path)
    head = model.model.embed_tokens.weight.detach().clone()
    change_weights(tmp_path, **{"lm_head.weight": head})
    family = family_of(model.config, "here")
    plan = plan_tensors(tmp_path, model.config, family, "f16")
    assert {tensor.name for tensor in plan} == expected.keys()


def test_rows_that_fill_no_blocks_are_not_quantized(tmp_path: Path) -> None:
    plan = planned(gemma1(intermediate_size=80), tmp_path, "q8_0")
    assert plan["blk.0.ffn_down.weight"].stored.name == "F16"
    assert plan["blk.0.ffn_up.weight"].stored.name == "Q8_0"
    assert load_tensor(plan["blk.0.ffn_down.weight"]).dtype == np.float16


def test_quantized_values_are_near_the_real_ones(tmp_path: Path) -> None:
    model = gemma1()
    tensor = planned(model, tmp_path, "q8_0")["token_embd.weight"]
    found = load_tensor(tensor)
    assert found.nbytes == tensor.size == 480 * 64 // 32 * 34
    values = gguf.dequantize(found, tensor.stored)
    real = model.model.embed_tokens.weight.detach().numpy()
    assert np.abs(values - real).max() < np.abs(real).max() / 200


def test_blocks_of_rows_make_the_whole_tensor(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensor = planned(gemma1(), tmp_path, "q8_0")["token_embd.weight"]
    whole = load_tensor(tensor)
    monkeypatch.setattr("local_llm.gguf_tensors._BLOCK_VALUES", 7 * 64)
    assert np.array_equal(load_tensor(tensor), whole)


def test_bfloat16_weights_are_read(tmp_path: Path) -> None:
    model = gemma1().to(torch.bfloat16)
    found = load_tensor(planned(model, tmp_path)["blk.0.ffn_up.weight"])
    real = model.model.layers[0].mlp.up_proj.weight.float().detach().numpy()
    assert np.array_equal(found, real.astype(np.float16))


def test_a_long_context_llama_has_its_frequencies(tmp_path: Path) -> None:
    model = llama(rope_parameters=LLAMA_3_SCALING)
    factors = load_tensor(planned(model, tmp_path)["rope_freqs.weight"])
    assert factors.shape == (16,)
    assert factors[0] == pytest.approx(1.0)  # fast ones stay
    assert factors[-1] == pytest.approx(8.0)  # slow ones are divided
    assert np.all(np.diff(factors) >= -1e-6)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model.norm.weight": None}, "model.norm.weight is missing"),
        ({"extra.weight": torch.ones(2)}, "extra.weight is no part of the"),
        (
            {"model.norm.weight": torch.ones(3)},
            r"model.norm.weight has the shape \(3,\), not \(64,\)",
        ),
        (
            {"model.norm.weight": None, "extra.weight": torch.ones(2)},
            r"model.norm.weight is missing \(and 1 more\)",
        ),
    ],
)
def test_weights_that_are_not_the_models_are_refused(
    changes: dict[str, torch.Tensor | None],
    what: str,
    tmp_path: Path,
) -> None:
    model = gemma1()
    save(tmp_path, model, sentencepiece())
    change_weights(tmp_path, **changes)
    with pytest.raises(WeightsError, match=what):
        plan_tensors(
            tmp_path,
            model.config,
            family_of(model.config, "here"),
            "f16",
        )


def test_weights_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    model = gemma1()
    save(tmp_path, model, sentencepiece())
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    family = family_of(model.config, "here")
    with pytest.raises(WeightsError, match="model.safetensors cannot be read"):
        plan_tensors(tmp_path, model.config, family, "f16")


@pytest.mark.parametrize("value", [1e6, float("inf"), float("nan")])
def test_a_value_that_float16_cannot_hold_is_refused(
    value: float,
    tmp_path: Path,
) -> None:
    model = gemma1()
    model.model.layers[0].mlp.up_proj.weight.data[5, 6] = value
    tensor = planned(model, tmp_path)["blk.0.ffn_up.weight"]
    with pytest.raises(WeightsError, match="up_proj.weight .* F16 cannot"):
        load_tensor(tensor)
