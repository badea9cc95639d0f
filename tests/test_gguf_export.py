# -*- coding: utf-8 -*-
"""A GGUF file is the model that it was written from: llama.cpp and the reader
of transformers compute the same from it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from finished_runs import dense, drawn_run
from gguf import GGUFReader
from llama_cpp import Runtime
from tiny_gguf import (
    LLAMA_3_SCALING,
    ROWS,
    TEXTS,
    byte_level,
    gemma1,
    gemma2,
    gemma3_of_six_layers,
    gemma3_with_images,
    like_smollm,
    llama,
    mistral,
    save,
    sentencepiece,
    with_metaspace,
)
from tiny_models import change_config
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from local_llm import adapters, disk_room
from local_llm.base_model import load_private_model
from local_llm.chat_format import ChatFormat
from local_llm.errors import CheckpointError, WeightsError
from local_llm.gguf_export import check_convertible, write_gguf
from local_llm.gguf_tensors import Kind
from local_llm.merged_model import write_merged_model
from local_llm.turns import Turn

LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
WITH_SPACE = partial(sentencepiece, prefix_space=True)

MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "gemma": gemma1,
    "gemma2": gemma2,
    "gemma2 capped low": partial(
        gemma2,
        attn_logit_softcapping=10.0,
        final_logit_softcapping=3.0,
    ),
    "gemma3": gemma3_of_six_layers,
    "gemma3 with a head": partial(
        gemma3_of_six_layers,
        tie_word_embeddings=False,
    ),
    "gemma3 with images": gemma3_with_images,
    "gemma3 with images and a head": partial(
        gemma3_with_images,
        tie_word_embeddings=False,
    ),
    "llama": llama,
    "llama with biases": partial(llama, attention_bias=True, mlp_bias=True),
    "llama 2": llama,
    "llama 3": partial(
        llama,
        rope_parameters=LLAMA_3_SCALING,
        tie_word_embeddings=True,
    ),
    "smollm": partial(llama, tie_word_embeddings=True),
    "llama, stretched": partial(llama, rope_parameters=LINEAR),
    "mistral": mistral,
}
TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "gemma3 with a head": partial(byte_level, like_llama_3=False),
    "llama": byte_level,
    "llama 2": WITH_SPACE,
    "llama 3": byte_level,
    "mistral": WITH_SPACE,
    "smollm": like_smollm,
}
"""What is not Gemma's."""

READ_BACK = ["gemma2", "gemma3", "gemma3 with a head", "llama", "mistral"]
"""What the reader of transformers knows whole: it has no Gemma 1, and takes
the scaling of positions and the caps from its defaults."""

OFF_BY = {"f16": 0.01, "q8_0": 0.2}
"""How far logits may be off, as a share of their spread: 0.003 and 0.1 were
seen. A wrong model is off by 1 and more. llama.cpp rounds activations too."""

PACKAGED_KEYS = {
    *("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"),
    *(
        f"general.{key}"
        for key in "architecture type name size_label file_type "
        "quantization_version".split()
    ),
    *(
        f"gemma3.{key}"
        for key in "context_length embedding_length block_count "
        "feed_forward_length attention.head_count attention.head_count_kv "
        "attention.layer_norm_rms_epsilon attention.key_length "
        "attention.value_length attention.sliding_window "
        "rope.freq_base".split()
    ),
    *(
        f"tokenizer.ggml.{key}"
        for key in "model pre tokens scores token_type bos_token_id "
        "eos_token_id unknown_token_id padding_token_id add_bos_token "
        "add_sep_token add_eos_token add_space_prefix".split()
    ),
}
"""Of the embedded model's own file, but for what its model card said."""

PROMPT = TEXTS[0] + TEXTS[2]
MESSAGES = [
    {"role": "user", "content": "What is it?"},
    {"role": "assistant", "content": "It is a dog."},
    {"role": "user", "content": "\U0001f642 And\n\nthis?"},
]


@dataclass(frozen=True)
class Written:
    """A model, and the files that were written of it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    files: dict[Kind, Path]

    def logits(self) -> torch.Tensor:
        """Of the prompt, shape (tokens, rows)."""
        return logits_of(self.model, self.ids())

    def ids(self) -> list[int]:
        return self.tokenizer.encode(PROMPT)


def logits_of(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean squared difference, by the spread."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


@pytest.fixture(scope="module", name="written", params=MODELS)
def fixture_written(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Written:
    """Each model with its two files."""
    return write(request.param, tmp_path_factory.mktemp("gguf"))


def write(name: str, place: Path) -> Written:
    model = MODELS[name]()
    tokenizer = TOKENIZERS.get(name, sentencepiece)()
    folder = save(place / "model", model, tokenizer)
    kinds: list[Kind] = ["f16", "q8_0"]
    files = {
        kind: write_gguf(folder, place / f"{kind}.gguf", kind)
        for kind in kinds
    }
    return Written(model, tokenizer, files)


# -- what runtimes make of it ----------------------------------------------


@pytest.mark.parametrize("kind", OFF_BY)
def test_llama_cpp_expects_the_same_next_token(
    written: Written,
    kind: Kind,
) -> None:
    expected = torch.log_softmax(written.logits()[-1].double(), -1).numpy()
    runtime = Runtime(written.files[kind])
    found = runtime.log_probabilities(written.ids(), ROWS)
    assert distance(found, expected) < OFF_BY[kind]


def test_llama_cpp_splits_text_into_the_same_tokens(written: Written) -> None:
    runtime = Runtime(written.files["q8_0"])
    for text in TEXTS:
        assert runtime.ids(text) == written.tokenizer.encode(text)


def test_llama_cpp_renders_the_prompt_of_the_chat_template(
    written: Written,
) -> None:
    runtime = Runtime(written.files["q8_0"])
    text = written.tokenizer.apply_chat_template(
        MESSAGES,
        tokenize=False,
        add_generation_prompt=True,
    )
    ids = runtime.ids(runtime.prompt(MESSAGES))
    assert ids == written.tokenizer.encode(text, add_special_tokens=False)


def test_llama_cpp_has_the_prompt_of_our_own_chat(written: Written) -> None:
    runtime = Runtime(written.files["q8_0"])
    turns = [Turn(one["role"], one["content"]) for one in MESSAGES]
    ids = ChatFormat(written.tokenizer).prompt_ids(turns)
    assert runtime.ids(runtime.prompt(MESSAGES)) == ids


@pytest.mark.parametrize("scheme", ["first", "always"])
def test_llama_cpp_has_the_prompt_of_a_vocabulary_of_newer_llamas(
    tmp_path: Path,
    scheme: str,
) -> None:
    tokenizer = with_metaspace(scheme)
    folder = save(tmp_path / "model", llama(), tokenizer)
    runtime = Runtime(write_gguf(folder, tmp_path / "a.gguf", "q8_0"))
    turns = [Turn(one["role"], one["content"]) for one in MESSAGES]
    ids = ChatFormat(tokenizer).prompt_ids(turns)
    assert runtime.ids(runtime.prompt(MESSAGES)) == ids


def test_llama_cpp_has_an_adapter_of_the_embedding_alone(
    tmp_path: Path,
) -> None:
    source = save(tmp_path / "model", gemma3_of_six_layers(), sentencepiece())
    base = load_private_model(dense(source))
    lora_config = {"target_modules": ["embed_tokens", "q_proj"]}
    adapter = drawn_run(base, lora_config, tmp_path / "run", std=0.05)
    ids = base.tokenizer.encode(PROMPT)
    with adapters.active_adapter(base, adapter):
        logits = logits_of(base.model, ids)[-1].double()
    merged = tmp_path / "merged"
    merged.mkdir()
    write_merged_model(tmp_path / "run", dense(source), merged)
    runtime = Runtime(write_gguf(merged, tmp_path / "a.gguf", "f16"))
    found = runtime.log_probabilities(ids, ROWS)
    expected = torch.log_softmax(logits, -1).numpy()
    assert distance(found, expected) < OFF_BY["f16"]


# -- what transformers reads back -------------------------------------------


@pytest.mark.parametrize("name", READ_BACK)
def test_transformers_reads_the_same_model_back(
    name: str,
    tmp_path: Path,
) -> None:
    written = write(name, tmp_path)
    for kind, file in written.files.items():
        again = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
        found = logits_of(again, written.ids()).numpy()
        assert distance(found, written.logits().numpy()) < OFF_BY[kind]


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "llama"])
def test_transformers_reads_the_same_tokenizer_back(
    name: str,
    tmp_path: Path,
) -> None:
    written = write(name, tmp_path)
    file = written.files["q8_0"]
    again = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    for text in TEXTS:
        assert again.encode(text) == written.tokenizer.encode(text)
    assert again.eos_token == "<end_of_turn>"
    assert again.chat_template == written.tokenizer.chat_template


# -- the end of a reply ------------------------------------------------------


def test_a_reply_of_llama_cpp_stops_at_the_end_of_its_turn(
    tmp_path: Path,
) -> None:
    tokenizer = sentencepiece()
    chat_format = ChatFormat(tokenizer)
    turns = [Turn("user", "Hi"), Turn("assistant", "Hallo.")]
    model = overfitted(gemma3_of_six_layers(), chat_format, turns)
    folder = save(tmp_path / "model", model, tokenizer)
    runtime = Runtime(write_gguf(folder, tmp_path / "tuned.gguf", "q8_0"))
    answer = runtime.complete(chat_format.prompt_ids(turns[:1]), 40)
    assert (answer["content"], answer["stop_type"]) == ("Hallo.", "eos")


def overfitted(
    model: PreTrainedModel,
    chat_format: ChatFormat,
    turns: list[Turn],
) -> PreTrainedModel:
    """A model that has learned one conversation by heart."""
    chat = chat_format.render(turns)
    ids = torch.tensor([chat.ids])
    labels = ids.masked_fill(torch.tensor([chat.mask]) == 0, -100)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = model(ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.01
    return model


# -- the file ----------------------------------------------------------------


def test_norms_and_vectors_stay_exact(written: Written) -> None:
    for file in written.files.values():
        for tensor in GGUFReader(file).tensors:
            if len(tensor.shape) == 1:
                assert tensor.tensor_type.name == "F32"


def test_matrices_are_stored_as_the_kind_says(written: Written) -> None:
    for kind, file in written.files.items():
        stored = {
            tensor.tensor_type.name
            for tensor in GGUFReader(file).tensors
            if len(tensor.shape) == 2
        }
        assert stored == {kind.upper()}


def test_a_gemma_3_has_the_keys_of_the_packaged_file(tmp_path: Path) -> None:
    file = write("gemma3", tmp_path).files["f16"]
    assert set(GGUFReader(file).fields) == PACKAGED_KEYS | {
        "tokenizer.chat_template",
        "tokenizer.ggml.eot_token_id",
    }


def saved(tmp_path: Path) -> Path:
    return save(tmp_path / "model", gemma1(), sentencepiece())


def test_the_file_says_what_it_is_and_under_which_licence(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path)
    (folder / "README.md").write_text("---\nlicense: gemma\n---\n# A model\n")
    fields = GGUFReader(write_gguf(folder, tmp_path / "a.gguf", "f16")).fields
    assert fields["general.name"].contents() == "a"
    assert fields["general.size_label"].contents() == "105K"
    assert fields["general.license"].contents() == "gemma"


@pytest.mark.parametrize("card", ["# A model\n", "---\n: [\n---\n", ""])
def test_a_model_card_without_a_licence_is_no_fault(
    card: str,
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path)
    (folder / "README.md").write_text(card)
    fields = GGUFReader(write_gguf(folder, tmp_path / "a.gguf", "f16")).fields
    assert "general.license" not in fields


def test_sharded_weights_are_written_as_whole_ones(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    whole = write_gguf(folder, tmp_path / "a" / "one.gguf", "f16")
    gemma1().save_pretrained(tmp_path / "shards", max_shard_size="60KB")
    for file in tmp_path.glob("shards/*"):
        shutil.copy(file, folder)
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("*.safetensors"))) > 1
    again = write_gguf(folder, tmp_path / "b" / "one.gguf", "f16")
    assert again.read_bytes() == whole.read_bytes()


# -- what goes wrong ---------------------------------------------------------


def test_a_full_disk_is_found_before_anything_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = saved(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(disk_room.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CheckpointError, match="0.00 GB are free"):
        write_gguf(folder, tmp_path / "a.gguf", "f16")
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_a_file_that_cannot_be_finished_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    model = gemma1()
    model.model.layers[1].mlp.up_proj.weight.data[3, 4] = float("nan")
    folder = save(tmp_path / "model", model, sentencepiece())
    target = tmp_path / "a.gguf"
    target.write_text("old")
    with pytest.raises(WeightsError, match="holds the value nan"):
        write_gguf(folder, target, "f16")
    assert target.read_text() == "old"
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["a.gguf", "model"]


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write in .*file"):
        write_gguf(folder, tmp_path / "file" / "a.gguf", "f16")


def test_another_architecture_is_refused_with_those_that_can(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path)
    change_config(folder, model_type="qwen2")
    with pytest.raises(WeightsError) as caught:
        write_gguf(folder, tmp_path / "a.gguf", "f16")
    for name in ("gemma", "gemma2", "gemma3", "gemma3_text", "llama"):
        assert name in caught.value.message


def test_of_a_model_that_sees_images_the_text_part_is_checked() -> None:
    config = gemma3_with_images().config
    check_convertible(config, sentencepiece(), "here")
    config.text_config.hidden_activation = "relu"
    with pytest.raises(WeightsError, match="its activation is relu"):
        check_convertible(config, sentencepiece(), "here")


def test_a_config_that_no_library_reads_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    change_config(folder, model_type="nonsense")
    with pytest.raises(WeightsError, match="config.json of .* cannot be"):
        write_gguf(folder, tmp_path / "a.gguf", "f16")
