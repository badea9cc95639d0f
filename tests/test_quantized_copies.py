# -*- coding: utf-8 -*-
"""4-bit weights are kept once, checked, and never taken for others."""

import gc
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch
from fake_hub import SetHub, answering, hub_with_files
from huggingface_hub import constants
from tiny_models import gemma, gemma3, reply, request_for, save_model

from local_llm import atomic_files, disk_room, quantized_copies
from local_llm.base_model import BaseModel, LoadRequest, load_private_model
from local_llm.quantized_copies import RECORD_NAME

QUESTION = "What is the capital of France?"
KEEPING = "keeping the 4-bit weights for the next load (once)"


@pytest.fixture(autouse=True)
def every_model_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized_copies, "LEAST_BYTES", 1)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """A model that a test may change."""
    return save_model(tmp_path / "model", gemma())


def load(folder: Path, **more: Any) -> BaseModel:
    return load_private_model(request_for(folder, **more))


def copies(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache").glob("4bit-*"))


def is_from_copy(base: BaseModel) -> bool:
    return base.model.hf_quantizer.pre_quantized


def assert_same(one: BaseModel, other: BaseModel) -> None:
    """Every tensor, with the scales and tables of the 4-bit ones."""
    own, others = one.model.state_dict(), other.model.state_dict()
    assert own.keys() == others.keys()
    for key, value in own.items():
        assert value.dtype == others[key].dtype, key
        assert torch.equal(value, others[key]), key


@pytest.mark.parametrize("make", [gemma, gemma3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_second_load_gives_the_very_same_model(
    tmp_path: Path,
    make: Any,
    dtype: str,
) -> None:
    folder = save_model(tmp_path / "model", make())
    first, second = load(folder, dtype=dtype), load(folder, dtype=dtype)
    assert [is_from_copy(first), is_from_copy(second)] == [False, True]
    assert_same(first, second)
    assert first.fingerprint == second.fingerprint
    assert first.model.config.to_dict() == second.model.config.to_dict()
    assert first.model.name_or_path == second.model.name_or_path
    assert first.model.dtype == second.model.dtype
    assert not second.model.training
    assert reply(first, QUESTION) == reply(second, QUESTION)


def test_keeping_is_told_once(folder: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        load_private_model(request_for(folder), told.append)
    assert told == ["loading the weights", KEEPING, "loading the weights"]


def test_a_reply_changes_nothing_of_what_is_kept(folder: Path) -> None:
    """Packed for replies, the weights are rounded; those are not kept."""
    first = load(folder)
    expected = {k: v.clone() for k, v in first.model.state_dict().items()}
    reply(first, QUESTION)
    second = load(folder)
    reply(second, QUESTION)
    for key, value in load(folder).model.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_other_weights_in_the_same_folder_are_quantized_anew(
    folder: Path,
) -> None:
    before = load(folder)
    save_model(folder, gemma(seed=9))
    after = load(folder)
    assert not is_from_copy(after)
    assert after.fingerprint != before.fingerprint
    assert len(copies(folder)) == 1
    assert_same(load(folder), after)


def test_a_change_that_hides_its_time_and_size_is_seen(folder: Path) -> None:
    load(folder)
    weights = folder / "model.safetensors"
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.stat().st_mtime_ns == before.st_mtime_ns
    assert not is_from_copy(load(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "bfloat16"},
        {"quantization": {"load_in_4bit": True}},
    ],
    ids=str,
)
def test_another_kind_of_4_bit_has_a_copy_of_its_own(
    folder: Path,
    changes: dict[str, Any],
) -> None:
    load(folder, dtype="float32")
    other = {"dtype": "float32", **changes}
    assert not is_from_copy(load(folder, **other))
    assert len(copies(folder)) == 2
    assert is_from_copy(load(folder, **other))
    assert is_from_copy(load(folder, dtype="float32"))


def test_another_version_of_a_library_replaces_the_copy(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(folder)
    before = copies(folder)
    metadata = quantized_copies.importlib.metadata
    monkeypatch.setattr(metadata, "version", lambda name: "99")
    assert not is_from_copy(load(folder))
    assert len(copies(folder)) == 1
    assert copies(folder) != before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_copy_is_made_anew_and_that_is_said(
    folder: Path,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = load(folder)
    path = copies(folder)[0] / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    second = load(folder)
    assert not is_from_copy(second)
    assert "4-bit weights are made anew" in caplog.text
    assert_same(first, second)
    assert is_from_copy(load(folder))


def test_a_whole_copy_that_the_libraries_refuse_is_made_anew(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    load(folder)
    copy = copies(folder)[0]
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "head_dim": 7}))
    atomic_files._write_manifest(copy)
    assert not is_from_copy(load(folder))
    assert "4-bit weights are made anew" in caplog.text
    assert is_from_copy(load(folder))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    name = quantized_copies.__name__
    return [
        record.message
        for record in caplog.records
        if record.name == name and record.levelno >= logging.WARNING
    ]


def test_a_full_disk_costs_a_line_in_the_log(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(disk_room, "free_bytes", lambda folder: 1000)
    assert reply(load(folder), QUESTION)
    (line,) = warnings_in(caplog)
    assert "4-bit weights are not kept" in line
    assert "1.0 kB are free" in line
    assert copies(folder) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_disk_that_fills_while_writing_costs_a_line_too(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = quantized_copies.atomic_files.write_json

    def write_to_a_full_disk(path: Path, value: object) -> Path:
        Path("/dev/full").write_text("x")
        return written(path, value)

    monkeypatch.setattr(atomic_files, "write_json", write_to_a_full_disk)
    assert reply(load(folder), QUESTION)
    (line,) = warnings_in(caplog)
    assert "No space left on device" in line
    left = (folder.parent / "cache").glob("*4bit-*")
    assert [path.suffix for path in left] == [".lock"]


def test_a_cache_that_is_no_folder_costs_a_line(
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    assert reply(load(folder, cache=tmp_path / "file"), QUESTION)
    assert len(warnings_in(caplog)) == 1


def test_while_another_process_writes_it_nobody_waits(folder: Path) -> None:
    load(folder)
    (copy,) = copies(folder)
    shutil.rmtree(copy)
    lock = copy.with_name(f".{copy.name}.lock")
    with filelock.FileLock(lock).acquire(timeout=1):
        assert reply(load(folder), QUESTION)
    assert copies(folder) == []


def test_what_a_killed_process_left_is_cleared(folder: Path) -> None:
    load(folder)
    (copy,) = copies(folder)
    partial = copy.rename(copy.with_name(f".{copy.name}.partial-0123"))
    load(folder)
    assert not partial.exists()
    assert copies(folder) == [copy]


def test_copies_of_models_that_are_gone_go_too(
    folder: Path,
    tmp_path: Path,
) -> None:
    other = save_model(tmp_path / "other", gemma(seed=5))
    load(folder)
    (copy,) = copies(folder)
    shutil.rmtree(folder)
    load(other)
    assert copy not in copies(other)
    assert len(copies(other)) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"keep_quantized": False},
        {"quantization": {}},
        {"quantization": {"load_in_8bit": True}},
    ],
    ids=str,
)
def test_nothing_is_kept_where_nothing_is_wanted(
    folder: Path,
    more: dict[str, Any],
) -> None:
    load(folder, **more)
    assert copies(folder) == []


def test_a_copy_is_not_read_where_that_is_switched_off(folder: Path) -> None:
    load(folder)
    assert not is_from_copy(load(folder, keep_quantized=False))


def test_a_small_model_is_quantized_faster_than_it_is_read(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    load(folder)
    assert copies(folder) == []


def test_what_comes_in_4_bit_already_is_not_kept_again(
    folder: Path,
    tmp_path: Path,
) -> None:
    first = load(folder)
    (copy,) = copies(folder)
    published = shutil.copytree(copy, tmp_path / "published")
    shutil.copy(folder / "tokenizer.json", published)
    shutil.copy(folder / "tokenizer_config.json", published)
    own = tmp_path / "own"
    second = load(published, quantization=None, cache=own)
    assert_same(first, second)
    assert list(own.glob("4bit-*")) == []


# -- the hub --------------------------------------------------------------


def hub_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_model_of_the_hub_is_kept_by_its_commit(
    folder: Path,
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    request = LoadRequest(
        "someone/kept",
        cache=tmp_path / "cache",
        device="cpu",
        revision="main",
    )
    hub(hub_with_files("someone/kept", hub_files(folder)))
    first = load_private_model(request)
    second = load_private_model(request)
    assert [is_from_copy(first), is_from_copy(second)] == [False, True]
    assert_same(first, second)
    assert second.model.name_or_path == "someone/kept"
    (copy,) = copies(folder)
    record = json.loads((copy / RECORD_NAME).read_text())
    assert (record["source"], record["revision"]) == ("someone/kept", "main")
    newer = save_model(tmp_path / "newer", gemma(seed=4))
    hub(hub_with_files("someone/kept", hub_files(newer), commit="b" * 40))
    third = load_private_model(request)
    assert not is_from_copy(third)
    assert third.fingerprint != first.fingerprint
    assert len(copies(folder)) == 1
    del first, second, third
    gc.collect()
    hub(answering(500))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert is_from_copy(load_private_model(request))
