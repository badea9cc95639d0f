# -*- coding: utf-8 -*-
"""A base model is loaded safely, once, or not at all and with a reason."""

import gc
import io
import pickle
import shutil
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from bitsandbytes.nn import Linear4bit
from fake_hub import SetHub, answering, gated, hub_with_files
from huggingface_hub import constants
from tiny_models import (
    CHATML,
    CONTEXT,
    change_config,
    gemma,
    gemma3,
    make_tokenizer,
    reply,
    request_for,
    save_model,
)
from trl.chat_template_utils import gemma_chat_template

from local_llm.base_model import LoadRequest, load_base_model, load_tokenizer
from local_llm.devices import choose_dtype
from local_llm.errors import ConfigError, ModelAccessError, WeightsError

TOKEN = "hf_SecretSecretSecretSecret"
PLAIN = {"load_in_4bit": False}
QUESTION = "What is the capital of France?"


class Canary:
    """Makes a file when a pickle of it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.fixture(name="folder")
def fixture_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A whole model that a test may damage."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def refused(folder: Path, **more: Any) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        load_base_model(request_for(folder, **more))
    return caught.value


# -- what is loaded -------------------------------------------------------


@pytest.mark.parametrize("make", [gemma, gemma3])
def test_a_model_is_loaded_in_4_bit_and_answers(
    tmp_path: Path,
    make: Callable[[], Any],
) -> None:
    base = load_base_model(request_for(save_model(tmp_path / "m", make())))
    layers = [m for m in base.model.modules() if isinstance(m, Linear4bit)]
    assert len(layers) == 14  # 2 layers x 7 projections
    state = layers[0].weight.quant_state
    assert (state.quant_type, state.nested) == ("nf4", True)
    assert base.model.dtype == choose_dtype("cpu", None)
    assert base.context_size == CONTEXT
    assert base.device == torch.device("cpu")
    assert not base.model.training
    assert reply(base, QUESTION)


def test_without_quantization_the_weights_are_the_ones_in_the_file(
    tiny_folder: Path,
) -> None:
    arguments = {**PLAIN, "bnb_4bit_compute_dtype": "float32"}
    base = load_base_model(request_for(tiny_folder, quantization=arguments))
    state = base.model.state_dict()
    for key, value in gemma().state_dict().items():
        assert torch.equal(state[key], value), key


def test_the_wanted_kind_of_4_bit_is_used(tiny_folder: Path) -> None:
    arguments = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "fp4",
        "bnb_4bit_compute_dtype": "float32",
    }
    base = load_base_model(request_for(tiny_folder, quantization=arguments))
    layer = base.model.model.layers[0].mlp.up_proj
    state = layer.weight.quant_state
    assert (state.quant_type, state.nested) == ("fp4", False)
    assert base.model.dtype == torch.float32


def test_progress_is_told(folder: Path) -> None:
    told: list[str] = []
    load_base_model(request_for(folder), told.append)
    assert told == ["loading the weights"]


def test_a_tokenizer_without_a_template_gets_gemmas(folder: Path) -> None:
    tokenizer = load_tokenizer(request_for(folder))
    assert tokenizer.chat_template == gemma_chat_template
    assert tokenizer.pad_token == "<pad>"


def test_a_tokenizer_keeps_a_template_of_its_own(folder: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(request_for(folder)).chat_template == CHATML


def test_a_tokenizer_without_turn_marks_gets_a_plain_template(
    folder: Path,
) -> None:
    tokenizer = make_tokenizer(special=("<pad>", "<eos>", "<bos>", "<unk>"))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    base = load_base_model(request_for(folder))
    assert base.chat_format.stop_ids == (base.tokenizer.eos_token_id,)
    assert base.tokenizer.pad_token == "<unk>"
    assert reply(base, QUESTION)


def test_a_tokenizer_may_come_from_another_folder(
    folder: Path,
    tmp_path: Path,
) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    request = request_for(folder, tokenizer=str(tmp_path / "tokenizer"))
    assert load_base_model(request).tokenizer.chat_template == CHATML


# -- sharing --------------------------------------------------------------


def test_a_model_is_loaded_once_in_a_process(tiny_folder: Path) -> None:
    request = request_for(tiny_folder)
    assert load_base_model(request) is load_base_model(
        request_for(tiny_folder, device="cpu", token=TOKEN),
    )


def test_threads_that_load_at_once_share_one_model(folder: Path) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(load_base_model(request_for(folder))),
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_another_quantization_is_another_model(tiny_folder: Path) -> None:
    one = load_base_model(request_for(tiny_folder))
    other = load_base_model(request_for(tiny_folder, quantization=PLAIN))
    assert one is not other


def test_the_default_quantization_written_out_is_the_same_model(
    tiny_folder: Path,
) -> None:
    arguments = {
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_quant_type": "nf4",
        "load_in_4bit": True,
    }
    one = load_base_model(request_for(tiny_folder))
    assert one is load_base_model(
        request_for(tiny_folder, quantization=arguments),
    )


def test_a_model_that_nobody_holds_is_freed(folder: Path) -> None:
    base = load_base_model(request_for(folder))
    watched = weakref.ref(base.model.model.layers[0])
    del base
    gc.collect()
    assert watched() is None


def test_a_failed_load_leaves_the_loaded_model_answering(
    folder: Path,
    tiny_folder: Path,
) -> None:
    base = load_base_model(request_for(tiny_folder))
    before = reply(base, QUESTION)
    (folder / "model.safetensors").write_bytes(b"garbage")
    refused(folder)
    assert load_base_model(request_for(tiny_folder)) is base
    assert reply(base, QUESTION) == before


def test_a_load_that_failed_may_be_tried_again(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-5])
    refused(folder)
    (folder / "model.safetensors").write_bytes(weights)
    assert reply(load_base_model(request_for(folder)), QUESTION)


# -- fingerprint ----------------------------------------------------------


def fingerprint(folder: Path, **more: Any) -> str:
    return load_base_model(request_for(folder, **more)).fingerprint


def test_the_fingerprint_depends_on_the_weights_alone(
    tiny_folder: Path,
    folder: Path,
) -> None:
    first = fingerprint(tiny_folder)
    assert fingerprint(folder) == first
    assert fingerprint(folder, quantization=PLAIN) == first
    arguments = {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}
    assert fingerprint(folder, quantization=arguments) == first


@pytest.mark.parametrize(
    "changes",
    [{"seed": 9}, {"num_hidden_layers": 3}, {"intermediate_size": 192}],
)
def test_other_weights_have_another_fingerprint(
    tiny_folder: Path,
    tmp_path: Path,
    changes: dict[str, int],
) -> None:
    other = save_model(tmp_path / "other", gemma(**changes))
    assert fingerprint(other) != fingerprint(tiny_folder)


# -- damaged and unsafe ---------------------------------------------------


def test_pickled_weights_are_refused_and_never_opened(
    folder: Path,
    tmp_path: Path,
) -> None:
    canary = tmp_path / "pickle was opened"
    (folder / "model.safetensors").unlink()
    content = pickle.dumps(Canary(canary))
    (folder / "pytorch_model.bin").write_bytes(content)
    assert "has pickled weights only" in refused(folder).message
    assert not canary.exists()
    pickle.loads(content)  # the canary does sing
    assert canary.exists()


def test_a_model_that_needs_its_own_code_is_refused_and_asks_nobody(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    canary = tmp_path / "code was run"
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n"
    (folder / "own.py").write_text(code)
    names = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    change_config(folder, model_type="own", auto_map=names)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    error = refused(folder)
    assert "running its own code, which this program never" in error.message
    assert sys.stdin.read() == "y\n" * 9
    assert not canary.exists()


def test_code_beside_a_known_model_is_not_run(
    folder: Path,
    tmp_path: Path,
) -> None:
    canary = tmp_path / "code was run"
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n"
    (folder / "own.py").write_text(code)
    names = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    change_config(folder, auto_map=names)
    assert reply(load_base_model(request_for(folder)), QUESTION)
    assert not canary.exists()


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "weights cut at the end": lambda f: cut(f / "model.safetensors", -100),
    "weights cut in the header": lambda f: cut(f / "model.safetensors", 50),
    "weights empty": lambda f: cut(f / "model.safetensors", 0),
    "weights garbage": lambda f: (f / "model.safetensors").write_bytes(
        b"\xff" * 500,
    ),
    "weights longer than they say": lambda f: (
        f / "model.safetensors"
    ).write_bytes((f / "model.safetensors").read_bytes() + b"x" * 64),
    "config garbage": lambda f: (f / "config.json").write_text("{"),
    "config empty": lambda f: (f / "config.json").write_text("{}"),
    "config of no known model": lambda f: change_config(f, model_type="own"),
    "config of a model that is none": lambda f: change_config(
        f,
        model_type="vit",
    ),
    "tokenizer garbage": lambda f: (f / "tokenizer.json").write_text("{"),
    "tokenizer missing": lambda f: [
        (f / name).unlink()
        for name in ("tokenizer.json", "tokenizer_config.json")
    ],
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_model_is_refused_with_its_place(
    folder: Path,
    damage: str,
) -> None:
    DAMAGES[damage](folder)
    error = refused(folder)
    assert str(folder) in error.message
    assert error.fix


@pytest.mark.parametrize(
    "changes",
    [{"num_hidden_layers": 3}, {"intermediate_size": 192}],
    ids=str,
)
def test_weights_that_do_not_fit_the_config_are_refused(
    folder: Path,
    changes: dict[str, int],
) -> None:
    """Loaded all the same, parts of the model would be random numbers."""
    change_config(folder, **changes)
    assert str(folder) in refused(folder).message


def test_a_tokenizer_with_more_tokens_than_the_weights_is_refused(
    folder: Path,
    tmp_path: Path,
) -> None:
    larger = make_tokenizer(unflagged=tuple(f"<x{i}>" for i in range(64)))
    larger.save_pretrained(tmp_path / "larger")
    error = refused(folder, tokenizer=str(tmp_path / "larger"))
    assert "has 384 tokens, its weights only 352" in error.message


def test_an_unknown_embedded_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_base_model(LoadRequest("embedded:x", cache=tmp_path))
    assert caught.value.message == "there is no embedded model 'x'"
    assert "embedded:gemma-3-270m" in str(caught.value.fix)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_gpu_that_is_not_there_is_said_before_anything_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="'cuda' is not available"):
        load_base_model(request_for(tmp_path / "nowhere", device="cuda"))


def test_too_little_memory_says_what_to_do(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import AutoModelForCausalLM

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 16 GiB")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", full)
    error = refused(folder)
    assert "does not fit into memory" in error.message
    assert "4-bit" in str(error.fix)


# -- the hub --------------------------------------------------------------


@pytest.fixture(name="repo")
def fixture_repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A name of the test's own, so that no model is shared with another."""
    monkeypatch.chdir(tmp_path)  # its cache is a folder there
    return f"someone/{tmp_path.name.replace('_', '-')}"


def hub_request(repo: str, **more: Any) -> LoadRequest:
    return LoadRequest(
        repo,
        **{"cache": Path("cache"), "device": "cpu", **more},
    )


def not_reached(repo: str, **more: Any) -> ModelAccessError:
    with pytest.raises(ModelAccessError) as caught:
        load_base_model(hub_request(repo, **more))
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_gated_model_of_the_hub_is_the_one_in_the_folder(
    tiny_folder: Path,
    hub: SetHub,
    repo: str,
) -> None:
    files = {file.name: file.read_bytes() for file in tiny_folder.iterdir()}
    hub(gated(hub_with_files(repo, files)))
    base = load_base_model(hub_request(repo, token=TOKEN))
    assert base.name == repo
    local = load_base_model(request_for(tiny_folder))
    assert base.fingerprint == local.fingerprint
    assert reply(base, QUESTION) == reply(local, QUESTION)


def test_pickles_of_the_hub_are_not_even_fetched(
    tiny_folder: Path,
    tmp_path: Path,
    hub: SetHub,
    repo: str,
) -> None:
    files = {file.name: file.read_bytes() for file in tiny_folder.iterdir()}
    del files["model.safetensors"]
    files["pytorch_model.bin"] = pickle.dumps(Canary(tmp_path / "opened"))
    requests = hub(hub_with_files(repo, files))
    with pytest.raises(WeightsError) as caught:
        load_base_model(hub_request(repo))
    assert repo in caught.value.message
    assert not (tmp_path / "opened").exists()
    fetched = [
        request
        for request in requests
        if request.method == "GET" and "pytorch_model" in request.url.path
    ]
    assert not fetched


@pytest.mark.parametrize(
    ("status", "code", "token", "text"),
    [
        (401, "GatedRepo", None, "is gated and no token was given"),
        (401, "GatedRepo", TOKEN, "the hub refused the token"),
        (403, "GatedRepo", TOKEN, "(licence not accepted)"),
        (401, "", None, "does not exist, or is private and no token given"),
        (404, "RepoNotFound", TOKEN, "this token may not read it"),
        (503, "", None, "the hub answered 503"),
    ],
)
def test_a_refusal_of_the_hub_says_which_it_is(
    hub: SetHub,
    status: int,
    code: str,
    token: str | None,
    text: str,
    repo: str,
) -> None:
    hub(answering(status, code))
    error = not_reached(repo, token=token)
    assert error.message.startswith(f"model {repo} ")
    assert text in error.message
    assert f"https://huggingface.co/{repo}" in str(error)


def test_an_unknown_revision_is_named(
    hub: SetHub,
    repo: str,
) -> None:
    hub(answering(404, "RevisionNotFound"))
    error = not_reached(repo, revision="v9")
    assert error.message == f"model {repo} has no revision 'v9'"


def test_offline_and_not_cached_is_said_at_once_with_the_way_out(
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
    repo: str,
) -> None:
    requests = hub(answering(500))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    start = time.monotonic()
    error = not_reached(repo)
    assert time.monotonic() - start < 5
    assert "HF_HUB_OFFLINE is set" in error.message
    assert f"hf download {repo}" in str(error.fix)
    assert not requests


def test_no_network_is_said_at_once(
    hub: SetHub,
    repo: str,
) -> None:
    def no_network(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Name or service not known", request=request)

    hub(no_network)
    start = time.monotonic()
    assert "the hub cannot be reached" in not_reached(repo).message
    assert time.monotonic() - start < 5


def test_a_model_that_was_fetched_before_loads_offline(
    tiny_folder: Path,
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
    repo: str,
) -> None:
    files = {file.name: file.read_bytes() for file in tiny_folder.iterdir()}
    hub(hub_with_files(repo, files))
    expected = load_base_model(hub_request(repo)).fingerprint
    gc.collect()
    requests = hub(answering(500))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    request = hub_request(repo, quantization=PLAIN)
    assert load_base_model(request).fingerprint == expected
    assert not requests


def test_a_local_model_is_loaded_without_a_network(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert reply(load_base_model(request_for(folder)), QUESTION)


def test_the_token_is_not_in_the_text_form_of_a_request() -> None:
    request = LoadRequest("a/b", cache=Path("c"), token=TOKEN)
    assert TOKEN not in repr(request)
    assert TOKEN not in request.key()
    assert TOKEN not in repr(request.repository)
