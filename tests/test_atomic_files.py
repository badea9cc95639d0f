# -*- coding: utf-8 -*-
"""A file or folder is there whole or not at all, and says when it changed."""

import json
from pathlib import Path

import pytest

from local_llm.atomic_files import (
    MANIFEST_NAME,
    check_manifest,
    check_writable,
    child,
    is_sealed,
    sealed_folder,
    sha256_of,
    write_json,
    write_text,
)
from local_llm.errors import CheckpointError


@pytest.fixture(name="sealed")
def fixture_sealed(tmp_path: Path) -> Path:
    """A sealed folder with a file and a nested one."""
    target = tmp_path / "run"
    with sealed_folder(target) as partial:
        (partial / "weights.bin").write_bytes(bytes(range(256)))
        (partial / "inner").mkdir()
        (partial / "inner" / "text").write_text("x")
    return target


@pytest.fixture(name="below_a_file")
def fixture_below_a_file(tmp_path: Path) -> Path:
    """A path that nobody can write, whatever the rights: even root."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "run"


def test_text_replaces_the_old_text_and_nothing_else_is_left(
    tmp_path: Path,
) -> None:
    path = write_text(tmp_path / "a.txt", "old")
    write_text(path, "näh 😀\n")
    assert path.read_text(encoding="utf-8") == "näh 😀\n"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_json_keeps_order_and_characters(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"b": "ü", "a": [1]})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"b": "ü", "a": [1]}
    assert text.index('"b"') < text.index('"a"')
    assert "ü" in text


def test_the_sha256_is_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_text_below_a_file_is_a_checkpoint_error(below_a_file: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write .*file/run: Not"):
        write_text(below_a_file, "x")


def test_a_folder_below_a_file_is_a_checkpoint_error(
    below_a_file: Path,
) -> None:
    with pytest.raises(CheckpointError, match="cannot write .*file/run: "):
        with sealed_folder(below_a_file):
            pytest.fail("there is nothing to fill")


@pytest.mark.parametrize("inner", ["", "deeper/still"])
def test_a_folder_that_cannot_be_written_is_found_out_beforehand(
    below_a_file: Path,
    inner: str,
) -> None:
    with pytest.raises(CheckpointError, match="cannot write in"):
        check_writable(below_a_file / inner / "run")


def test_finding_out_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "runs" / "one")
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_exception_leaves_nothing_and_the_old_folder_as_it_was(
    sealed: Path,
) -> None:
    before = sorted(sealed.parent.rglob("*"))
    with pytest.raises(KeyError), sealed_folder(sealed) as partial:
        (partial / "half").write_text("x")
        raise KeyError("stop")
    assert sorted(sealed.parent.rglob("*")) == before
    check_manifest(sealed)


def test_a_failed_write_in_the_body_names_the_target(tmp_path: Path) -> None:
    with (
        pytest.raises(CheckpointError, match="cannot write .*run: "),
        sealed_folder(tmp_path / "run") as partial,
    ):
        (partial / "no folder" / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_old_folders_are_kept_aside_under_numbers(tmp_path: Path) -> None:
    target = tmp_path / "run"
    for content in ("first", "second", "third"):
        with sealed_folder(target) as partial:
            (partial / "a").write_text(content)
    assert (target / "a").read_text() == "third"
    assert (tmp_path / "run.previous-1" / "a").read_text() == "first"
    assert (tmp_path / "run.previous-2" / "a").read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 3


def test_others_can_read_a_sealed_folder(sealed: Path) -> None:
    assert sealed.stat().st_mode & 0o777 == 0o755


def test_a_folder_is_sealed_only_at_the_end(tmp_path: Path) -> None:
    with sealed_folder(tmp_path / "run") as partial:
        assert not is_sealed(partial)
        assert not (tmp_path / "run").exists()
    assert is_sealed(tmp_path / "run")


def test_an_unchanged_folder_agrees_with_its_manifest(sealed: Path) -> None:
    check_manifest(sealed)
    files = json.loads((sealed / MANIFEST_NAME).read_text())["files"]
    assert files.keys() == {"weights.bin", "inner/text"}
    assert files["weights.bin"]["bytes"] == 256


def test_a_flipped_bit_is_found(sealed: Path) -> None:
    content = bytearray((sealed / "weights.bin").read_bytes())
    content[100] ^= 1
    (sealed / "weights.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match="weights.bin is not the file"):
        check_manifest(sealed)


def test_a_missing_file_is_found(sealed: Path) -> None:
    (sealed / "inner" / "text").unlink()
    with pytest.raises(CheckpointError, match="inner/text is missing"):
        check_manifest(sealed)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"files": []}', '{"files": {"inner/text": 1}}'],
)
def test_a_damaged_manifest_is_a_checkpoint_error(
    sealed: Path,
    text: str,
) -> None:
    (sealed / MANIFEST_NAME).write_text(text)
    with pytest.raises(CheckpointError, match=MANIFEST_NAME):
        check_manifest(sealed)


def test_a_folder_without_a_manifest_is_a_checkpoint_error(
    tmp_path: Path,
) -> None:
    with pytest.raises(CheckpointError, match=MANIFEST_NAME):
        check_manifest(tmp_path)


def test_a_manifest_cannot_point_outside(sealed: Path) -> None:
    record = {"bytes": 1, "sha256": sha256_of(sealed / "inner" / "text")}
    outside = {"files": {"../secret": record}}
    (sealed / MANIFEST_NAME).write_text(json.dumps(outside))
    (sealed.parent / "secret").write_text("x")
    with pytest.raises(CheckpointError, match="leaves the folder"):
        check_manifest(sealed)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", ".."])
def test_a_name_that_leaves_the_folder_is_refused(
    tmp_path: Path,
    name: str,
) -> None:
    with pytest.raises(CheckpointError, match="leaves the folder"):
        child(tmp_path / "run", name)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path)
    with pytest.raises(CheckpointError, match="leaves the folder"):
        child(tmp_path / "run", "link/x")


@pytest.mark.parametrize("name", ["a", "a/b.json", "./a", "a/../b"])
def test_a_name_that_stays_inside_gives_its_path(
    tmp_path: Path,
    name: str,
) -> None:
    assert child(tmp_path, name) == (tmp_path / name).resolve()
