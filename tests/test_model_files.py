# -*- coding: utf-8 -*-
"""What is missing or unsafe in a model's files is said before loading."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_hub import SetHub, hub_with_files

from local_llm.errors import WeightsError
from local_llm.hub_access import HubRepository
from local_llm.model_files import (
    check_folder,
    check_hub_repository,
    check_tokenizer_folder,
    is_local,
    load_tokenizer,
)

REPO = HubRepository("model", "someone/tiny")


@pytest.fixture(name="folder")
def fixture_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A whole model that a test may damage."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def refused(folder: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        check_folder(folder)
    return caught.value


def write_index(folder: Path, content: Any) -> None:
    path = folder / "model.safetensors.index.json"
    path.write_text(
        content if isinstance(content, str) else json.dumps(content),
    )


@pytest.mark.parametrize("source", ["./m", "../m", "~/m", "/m", "."])
def test_a_path_is_told_from_the_name_of_a_repository(source: str) -> None:
    assert is_local(source)


@pytest.mark.parametrize("source", ["google/gemma-7b", "gpt2"])
def test_the_name_of_a_repository_is_told_from_a_path(source: str) -> None:
    assert not is_local(source)


def test_a_whole_folder_passes(folder: Path) -> None:
    check_folder(folder)
    check_tokenizer_folder(folder)


def test_a_missing_folder_is_named_with_its_whole_path(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(Path("nowhere")).message == (
        f"the model folder does not exist: {tmp_path / 'nowhere'}"
    )


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("x")
    assert "is not a folder" in refused(tmp_path / "model").message


def test_a_folder_without_a_config_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert refused(folder).message == f"{folder} has no config.json"


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    error = refused(folder)
    assert error.message == f"{folder} has no weights (*.safetensors)"


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt"],
)
def test_pickles_alone_are_refused_with_the_way_out(
    folder: Path,
    name: str,
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"x")
    error = refused(folder)
    assert f"has pickled weights only ({name})" in error.message
    assert "could run code" in error.message
    assert "safetensors.torch.save_file" in str(error.fix)


def test_an_index_that_agrees_with_the_files_passes(folder: Path) -> None:
    write_index(folder, {"weight_map": {"a": "model.safetensors"}})
    check_folder(folder)


@pytest.mark.parametrize(
    "shard",
    ["model-2.safetensors", "../secret.safetensors", "/etc/passwd", ""],
)
def test_an_index_that_names_a_file_that_is_not_there_is_refused(
    folder: Path,
    shard: str,
) -> None:
    (folder.parent / "secret.safetensors").write_text("x")
    write_index(folder, {"weight_map": {"a": shard}})
    error = refused(folder)
    assert f"names {shard!r}, which is not in {folder}" in error.message


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "",
        "[]",
        "{}",
        {"weight_map": []},
        {"weight_map": "x"},
        {"weight_map": {"a": 1}},
        {"weight_map": {"a": ["model.safetensors"]}},
        {"weight_map": {"a": "model.safetensors", "b": 1}},
    ],
    ids=str,
)
def test_an_index_that_is_none_is_refused(
    folder: Path,
    content: Any,
) -> None:
    write_index(folder, content)
    assert "is not a weight index" in refused(folder).message


def test_a_tokenizer_folder_without_a_tokenizer_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(WeightsError) as caught:
        check_tokenizer_folder(tmp_path)
    assert f"{tmp_path} has no tokenizer; looked for" in caught.value.message


def test_a_missing_tokenizer_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the tokenizer folder does not"):
        check_tokenizer_folder(tmp_path / "nowhere")


def hub_has(hub: SetHub, files: dict[str, str]) -> None:
    hub(hub_with_files(REPO.repo_id, files))


def test_a_repository_that_transformers_knows_passes(hub: SetHub) -> None:
    hub_has(hub, {"config.json": '{"model_type": "gemma"}'})
    check_hub_repository(REPO)


def test_code_of_a_repository_that_is_not_needed_does_not_matter(
    hub: SetHub,
) -> None:
    config = {"model_type": "gemma", "auto_map": {"AutoConfig": "x.Y"}}
    hub_has(hub, {"config.json": json.dumps(config)})
    check_hub_repository(REPO)


def test_a_repository_that_needs_its_own_code_is_refused(hub: SetHub) -> None:
    config = {"model_type": "own", "auto_map": {"AutoConfig": "x.Y"}}
    hub_has(hub, {"config.json": json.dumps(config)})
    with pytest.raises(WeightsError, match="running its own code"):
        check_hub_repository(REPO)


def test_a_repository_without_a_config_is_no_problem_of_access(
    hub: SetHub,
) -> None:
    hub_has(hub, {"model.gguf": "x"})
    with pytest.raises(WeightsError) as caught:
        check_hub_repository(REPO)
    assert caught.value.message == "someone/tiny has no config.json"


@pytest.mark.parametrize("text", ["", "{", "[]", '"gemma"', "\x80"])
def test_a_repository_whose_config_is_none_is_refused(
    hub: SetHub,
    text: str,
) -> None:
    hub_has(hub, {"config.json": text})
    with pytest.raises(WeightsError, match="config.json of someone/tiny is"):
        check_hub_repository(REPO)


def test_a_tokenizer_is_loaded_from_its_folder(folder: Path) -> None:
    assert load_tokenizer(folder).convert_tokens_to_ids("<bos>") == 2


def test_a_broken_tokenizer_is_refused_with_its_folder(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(WeightsError, match="tokenizer of .*model cannot be"):
        load_tokenizer(folder)
