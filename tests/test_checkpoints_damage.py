# -*- coding: utf-8 -*-
"""Whatever happens to a checkpoint or the disk, the one before is used."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_runs import fixture_run, names, write_step  # noqa: F401

from local_llm import atomic_files
from local_llm.atomic_files import MANIFEST_NAME
from local_llm.checkpoints import begin, commit, newest_committed
from local_llm.errors import CheckpointError

WEIGHTS = "weights.bin"


def truncate(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 100)


def extend(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"\0")


def flip(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[777] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def delete(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def add(folder: Path) -> None:
    (folder / "inner" / "scaler.pt").write_bytes(b"")


def add_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def lose_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def empty_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text("")


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def swap(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "other")
    (folder / "inner" / "state").rename(folder / WEIGHTS)
    (folder / "other").rename(folder / "inner" / "state")


def link_file_out(folder: Path) -> None:
    outside = folder.parent / "outside"
    (folder / WEIGHTS).rename(outside)
    (folder / WEIGHTS).symlink_to(outside)


def link_folder_out(folder: Path) -> None:
    outside = folder.parent / "outside"
    (folder / "inner").rename(outside)
    (folder / "inner").symlink_to(outside)


def link_to_itself(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(folder / WEIGHTS)


def link_whole(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def dangle(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.parent / "nowhere")


DAMAGES: tuple[Callable[[Path], None], ...] = (
    truncate,
    extend,
    flip,
    delete,
    add,
    add_pipe,
    lose_manifest,
    empty_manifest,
    empty,
    become_a_file,
    swap,
    link_file_out,
    link_folder_out,
    link_to_itself,
    link_whole,
    dangle,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(
    run: Path,
    damage: Callable[[Path], None],
) -> None:
    damage(run / "checkpoint-10")
    assert newest_committed(run) == run / "checkpoint-5"
    assert not os.path.lexists(run / "checkpoint-10")
    assert os.path.lexists(run / "checkpoint-10.damaged-1")


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_step_of_a_damaged_checkpoint_can_be_committed_again(
    run: Path,
    damage: Callable[[Path], None],
) -> None:
    damage(run / "checkpoint-10")
    commit(run, 10, write_step(10))
    assert newest_committed(run) == run / "checkpoint-10"


texts = st.text(max_size=12) | st.sampled_from(
    ["", ".", "..", "../x", "/", "/etc/passwd", "a\0b", "x" * 300, "\ud800"],
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(name="shared", scope="module")
def fixture_shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose step 10 is put back by who damages it."""
    folder = tmp_path_factory.mktemp("shared") / "run.unfinished"
    begin(folder, {})
    for step in (5, 10):
        commit(folder, step, write_step(step))
    shutil.copytree(folder / "checkpoint-10", folder.parent / "good")
    return folder


def restored(shared: Path) -> Path:
    """Step 10 as it was written."""
    for path in shared.glob("checkpoint-10*"):
        shutil.rmtree(path)
    return Path(
        shutil.copytree(shared.parent / "good", shared / "checkpoint-10"),
    )


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_manifest_makes_other_bytes_a_checkpoint(
    shared: Path,
    data: st.DataObject,
) -> None:
    """And none raises anything but the errors of the package."""
    folder = restored(shared)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    as_written = json.dumps(manifest)
    files = manifest["files"]
    place = data.draw(st.sampled_from(["top", "files", "name", "field"]))
    if place == "top":
        manifest = data.draw(values)
    elif place == "files":
        manifest["files"] = data.draw(values)
    elif place == "name":
        files[data.draw(texts)] = files.pop(WEIGHTS)
    else:
        field = data.draw(st.sampled_from(["bytes", "sha256"]))
        files[WEIGHTS][field] = data.draw(values)
    text = json.dumps(manifest)
    (folder / MANIFEST_NAME).write_text(text)
    expected = "checkpoint-10" if text == as_written else "checkpoint-5"
    found = newest_committed(shared)
    assert found is not None and found.name == expected


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from([WEIGHTS, "inner/state", MANIFEST_NAME]),
    place=st.floats(0, 1, exclude_max=True),
    byte=st.integers(0, 255),
)
def test_no_changed_byte_is_used(
    shared: Path,
    name: str,
    place: float,
    byte: int,
) -> None:
    path = restored(shared) / name
    before = path.read_bytes()
    content = bytearray(before)
    content[int(place * len(content))] = byte
    path.write_bytes(content)
    found = newest_committed(shared)
    assert found is not None
    if found.name == "checkpoint-10":  # white space in a manifest is no fault
        assert name == MANIFEST_NAME or content == before
        assert (found / WEIGHTS).read_bytes() == (
            shared.parent / "good" / WEIGHTS
        ).read_bytes()


# -- disks ------------------------------------------------------------------


@pytest.fixture(name="small_disk")
def fixture_small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB; a checkpoint has 17 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, timeout=30)
    except OSError as error:
        pytest.skip(f"no disk of its own: {error}")
    if done.returncode != 0:
        pytest.skip(f"no disk of its own: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=30)


def filled(place: Path, free_bytes: int) -> None:
    """Leave so many bytes of a disk."""
    free = shutil.disk_usage(place).free
    (place / "filler").write_bytes(bytes(free - free_bytes))


@pytest.mark.parametrize("free_kb", range(0, 20, 2))
def test_on_a_full_disk_what_was_committed_is_as_it_was(
    small_disk: Path,
    free_kb: int,
) -> None:
    run = small_disk / "run.unfinished"
    begin(run, {})
    for step in (5, 10):
        commit(run, step, write_step(step))
    filled(small_disk, free_kb * 1024)
    before = names(run)
    with pytest.raises(CheckpointError, match="twice: .*space") as caught:
        commit(run, 15, write_step(15))
    assert "free some disk space" in caught.value.fix
    assert names(run) == before
    assert newest_committed(run) == run / "checkpoint-10"


def test_on_a_full_disk_pruning_makes_room(small_disk: Path) -> None:
    run = small_disk / "run.unfinished"
    begin(run, {})
    for step in (5, 10, 15):
        commit(run, step, write_step(step), keep=9)
    filled(small_disk, 8 * 1024)
    commit(run, 20, write_step(20), keep=9)
    assert names(run) == [
        "checkpoint-10",
        "checkpoint-15",
        "checkpoint-20",
        "run.json",
    ]
    atomic_files.check_manifest(run / "checkpoint-20")


def test_a_full_disk_as_torch_and_safetensors_tell_it(
    small_disk: Path,
) -> None:
    import safetensors.torch
    import torch

    run = small_disk / "run.unfinished"
    begin(run, {})
    commit(run, 5, write_step(5))
    weights = {"a": torch.ones(100_000)}
    ways: list[Callable[[Path], None]] = [
        lambda folder: torch.save(weights, folder / "optimizer.pt"),
        lambda folder: safetensors.torch.save_file(weights, folder / "a"),
    ]
    for write in ways:
        with pytest.raises(CheckpointError, match="could not be written"):
            commit(run, 10, write)
        assert names(run) == ["checkpoint-5", "run.json"]


def test_a_limit_of_the_system_is_told_as_a_full_disk_is(run: Path) -> None:
    before = names(run)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    try:
        with pytest.raises(CheckpointError, match="twice: .*File too large"):
            commit(run, 15, write_step(15))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(run) == before


@pytest.mark.parametrize("below", ["", "runs"])
def test_a_run_in_whose_place_a_file_stands_is_one_error(
    run: Path,
    below: str,
) -> None:
    shutil.rmtree(run)
    run.write_text("a file instead")
    with pytest.raises(CheckpointError, match="was taken away"):
        commit(run / below, 15, write_step(15))
