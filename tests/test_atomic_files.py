# -*- coding: utf-8 -*-
"""A file or folder is there whole or not at all, and says when it changed."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_llm.atomic_files import (
    MANIFEST_NAME,
    check_manifest,
    check_nothing_else,
    child,
    delete_partials,
    is_sealed,
    is_whole,
    placed_folder,
    sealed_folder,
    set_aside,
    sha256_of,
    whole_file,
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


@pytest.mark.parametrize(
    ("umask", "folder_mode", "file_mode"),
    [
        ("022", 0o755, 0o644),
        ("027", 0o750, 0o640),
        ("077", 0o700, 0o600),
        ("000", 0o755, 0o644),  # nobody else writes
    ],
)
def test_others_can_read_a_folder_where_the_umask_lets_them(
    tmp_path: Path,
    umask: str,
    folder_mode: int,
    file_mode: int,
) -> None:
    write = f"""
import os
from pathlib import Path
from local_llm.atomic_files import sealed_folder
os.umask(0o{umask})
with sealed_folder(Path({str(tmp_path)!r}) / "run") as partial:
    (partial / "deeper").mkdir()
    (partial / "deeper" / "weights").write_text("w")
    (partial / "deeper" / "weights").chmod(0o600)  # as safetensors writes
"""
    project = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", write], check=True, cwd=project)
    run = tmp_path / "run"
    assert {
        str(path.relative_to(run)): path.stat().st_mode & 0o777
        for path in (run, *run.rglob("*"))
    } == {
        ".": folder_mode,
        "deeper": folder_mode,
        "deeper/weights": file_mode,
        MANIFEST_NAME: file_mode,
    }


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


def test_a_file_that_may_change_is_not_compared(sealed: Path) -> None:
    (sealed / "weights.bin").write_bytes(b"others")
    check_manifest(sealed, but=["weights.bin"])
    (sealed / "inner" / "text").write_text("others")
    with pytest.raises(CheckpointError, match="inner/text is not the file"):
        check_manifest(sealed, but=["weights.bin"])


def test_an_error_without_a_reason_of_the_system_tells_its_own(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(CheckpointError, match="12 requested and 0 written"),
        whole_file(tmp_path / "file"),
    ):
        raise OSError("12 requested and 0 written")


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


# -- on the disk ------------------------------------------------------------


def test_everything_is_on_the_disk_before_it_stands_in_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flush, rename, seen = os.fsync, os.rename, []

    def noted_flush(descriptor: int) -> None:
        seen.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        flush(descriptor)

    def noted_rename(source: Path, target: Path) -> None:
        seen.append(f"-> {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(os, "rename", noted_rename)
    with sealed_folder(tmp_path / "run") as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "text").write_text("x")
    renamed = seen.index("-> run")
    before = seen[:renamed]
    assert before[-1] == partial.name
    assert {"inner", "text", MANIFEST_NAME} < {*before}
    assert before.index("text") < before.index("inner")
    assert seen[renamed + 1 :] == [tmp_path.name]


def test_what_cannot_be_brought_to_the_disk_replaces_nothing(
    sealed: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/a"):
            raise OSError(5, "Input/output error")

    with (
        pytest.raises(CheckpointError, match="run: Input/output error"),
        sealed_folder(sealed) as partial,
    ):
        (partial / "a").write_text("x")
        monkeypatch.setattr(os, "fsync", fail)
    assert [one.name for one in sealed.parent.iterdir()] == ["run"]
    check_manifest(sealed)


def test_a_folder_is_placed_without_a_manifest(tmp_path: Path) -> None:
    with placed_folder(tmp_path / "run") as partial:
        (partial / "a").write_text("x")
    assert [one.name for one in tmp_path.rglob("*")] == ["run", "a"]


def test_a_folder_is_not_placed_on_another(sealed: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write .*run: "):
        with placed_folder(sealed) as partial:
            (partial / "a").write_text("x")
    check_manifest(sealed)
    assert [one.name for one in sealed.parent.iterdir()] == ["run"]


# -- setting aside, and what is more or less than was written ----------------


def test_what_is_set_aside_is_numbered(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "a").write_text(str(number))
        assert set_aside(tmp_path / "a", "old") == tmp_path / f"a.old-{number}"
    assert (tmp_path / "a.old-1").read_text() == "1"
    assert set_aside(tmp_path / "a", "old") is None


def test_a_link_that_leads_nowhere_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    set_aside(tmp_path / "a", "old")
    assert (tmp_path / "a.old-1").is_symlink()


def test_what_cannot_be_renamed_is_a_checkpoint_error() -> None:
    with pytest.raises(CheckpointError, match="cannot rename /proc/self/"):
        set_aside(Path("/proc/self/status"), "old")


def test_a_sealed_folder_is_whole_and_holds_nothing_else(
    sealed: Path,
) -> None:
    assert is_whole(sealed)
    check_nothing_else(sealed)


def test_a_folder_that_lost_bytes_is_not_whole(sealed: Path) -> None:
    (sealed / "weights.bin").write_bytes(b"short")
    assert not is_whole(sealed)
    (sealed / "weights.bin").unlink()
    assert not is_whole(sealed)


def test_a_file_more_and_a_link_are_told(sealed: Path) -> None:
    (sealed / "inner" / "more").write_text("x")
    with pytest.raises(CheckpointError, match="inner/more was not there"):
        check_nothing_else(sealed)
    (sealed / "inner" / "more").unlink()
    (sealed / "inner" / "link").symlink_to(sealed)
    with pytest.raises(CheckpointError, match="inner/link is a link"):
        check_nothing_else(sealed)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_name_is_a_checkpoint_error(
    tmp_path: Path,
    name: str,
) -> None:
    with pytest.raises(CheckpointError, match="is no name of a file"):
        child(tmp_path, name)


# -- one file ----------------------------------------------------------------


def test_a_whole_file_replaces_the_old_one_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    for text in ("first", "second"):
        with whole_file(target) as partial:
            partial.write_text(text)
            assert partial.parent == target.parent
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_was_not_finished_leaves_the_old_one(
    tmp_path: Path,
) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(ValueError), whole_file(target) as partial:
        partial.write_text("half")
        raise ValueError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_fills_up_in_between_is_an_error_with_the_path(
    tmp_path: Path,
) -> None:
    target = tmp_path / "file"
    with pytest.raises(CheckpointError, match=str(target)):
        with whole_file(target):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_have_left_of_one_folder_alone_is_deleted(
    tmp_path: Path,
) -> None:
    kept = {".run[1].other", ".run1.partial-x", "run[1]"}
    for name in (*kept, ".run[1].partial-abc", ".run[1].partial-xyz"):
        (tmp_path / name).mkdir()
    delete_partials(tmp_path / "run[1]")
    assert {path.name for path in tmp_path.iterdir()} == kept
