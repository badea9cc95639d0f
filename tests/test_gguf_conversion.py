# -*- coding: utf-8 -*-
"""A GGUF file becomes a folder, or an error that names the file."""

from pathlib import Path

import pytest

from local_llm.errors import WeightsError
from local_llm.gguf_conversion import convert_gguf


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
