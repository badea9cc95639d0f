# -*- coding: utf-8 -*-
"""A GGUF file becomes a folder, or an error that names the file."""

from pathlib import Path

import pytest
from tiny_models import make_tokenizer
from transformers import AutoTokenizer

from local_llm.errors import WeightsError
from local_llm.gguf_conversion import _make_quick_to_read, convert_gguf


def test_the_last_line_of_the_reader_is_what_the_user_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\x00" * 100)
    with pytest.raises(WeightsError) as caught:
        convert_gguf(path, tmp_path)
    lines = caught.value.message.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{path} cannot be converted: ")
    assert "Error" in lines[0]


def test_a_tokenizer_that_is_quick_to_read_is_the_same(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in ("plain", "quick")]
    for folder in folders:
        make_tokenizer().save_pretrained(folder)
    plain, quick = folders
    _make_quick_to_read(quick)
    sizes = [(one / "tokenizer.json").stat().st_size for one in folders]
    assert sizes[1] < sizes[0]
    for folder in folders:
        AutoTokenizer.from_pretrained(folder).save_pretrained(
            tmp_path / f"{folder.name} again",
        )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        again = [tmp_path / f"{one.name} again" / name for one in folders]
        assert again[0].read_bytes() == again[1].read_bytes()
    ids = [
        AutoTokenizer.from_pretrained(one)(
            "<bos>Hé <start_of_image>x"
        ).input_ids
        for one in folders
    ]
    assert ids[0] == ids[1]
