# -*- coding: utf-8 -*-
"""An adapter's folder says what it is and what it was made on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_llm.adapter_files import (
    ADAPTER_FILE,
    BASE_FILE,
    NamedBase,
    check_base,
    is_adapter,
    named_base,
    write_base_record,
)
from local_llm.base_model import BaseModel
from local_llm.errors import WeightsError


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def test_a_folder_with_the_tensors_of_an_adapter_is_one(
    tmp_path: Path,
) -> None:
    assert not is_adapter(tmp_path)
    assert not is_adapter(tmp_path / "nowhere")
    (tmp_path / ADAPTER_FILE).touch()
    assert is_adapter(tmp_path)


def test_the_record_of_this_package_goes_before_that_of_peft(
    tiny: BaseModel,
    tmp_path: Path,
) -> None:
    config = {"base_model_name_or_path": "google/gemma-7b"}
    write(tmp_path, "adapter_config.json", config)
    assert named_base(tmp_path) == NamedBase("google/gemma-7b")
    write_base_record(tiny, tmp_path)
    assert named_base(tmp_path) == NamedBase(tiny.name)


@pytest.mark.parametrize("record", [{}, {"name": ""}, {"name": 3}, [], "x"])
def test_a_record_that_names_nothing_is_passed_over(
    tmp_path: Path,
    record: Any,
) -> None:
    write(tmp_path, BASE_FILE, record)
    config = {"base_model_name_or_path": "google/gemma-7b"}
    write(tmp_path, "adapter_config.json", config)
    assert named_base(tmp_path) == NamedBase("google/gemma-7b")


def test_the_revision_of_the_base_is_kept_and_named(
    tiny: BaseModel,
    tmp_path: Path,
) -> None:
    pinned = replace(tiny, name="owner/name", revision="v1")
    write_base_record(pinned, tmp_path)
    assert named_base(tmp_path) == NamedBase("owner/name", "v1")
    newest = replace(pinned, revision=None, fingerprint="another")
    with pytest.raises(
        WeightsError,
        match="trained on owner/name at revision v1, not on owner/name\n",
    ):
        check_base(newest, tmp_path)


def test_a_record_of_an_earlier_version_has_no_revision(
    tiny: BaseModel,
    tmp_path: Path,
) -> None:
    record = {"name": "owner/name", "fingerprint": tiny.fingerprint}
    write(tmp_path, BASE_FILE, record)
    assert named_base(tmp_path) == NamedBase("owner/name")
    check_base(tiny, tmp_path)


def test_peft_names_a_revision_too(tmp_path: Path) -> None:
    config = {"base_model_name_or_path": "owner/name", "revision": "v1"}
    write(tmp_path, "adapter_config.json", config)
    assert named_base(tmp_path) == NamedBase("owner/name", "v1")


@pytest.mark.parametrize("config", [None, {}, {"base_model_name_or_path": 0}])
def test_an_adapter_that_names_no_base_is_told_how_to_be_loaded(
    tmp_path: Path,
    config: Any,
) -> None:
    if config is not None:
        write(tmp_path, "adapter_config.json", config)
    with pytest.raises(WeightsError, match="does not say on which") as caught:
        named_base(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "load_model(local_model_path=" in str(caught.value.fix)
