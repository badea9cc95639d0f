# -*- coding: utf-8 -*-
"""The device and number format are what is there and what is fast there."""

from pathlib import Path

import pytest
import torch

from local_llm import devices
from local_llm.devices import choose_device, choose_dtype, explain_devices
from local_llm.errors import ConfigError

HAS_GPU = torch.cuda.is_available()
without_gpu = pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")


def set_gpu(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


@pytest.mark.parametrize(
    ("gpu", "wanted", "chosen"),
    [
        (False, None, "cpu"),
        (False, "cpu", "cpu"),
        (True, None, "cuda:0"),
        (True, "cpu", "cpu"),
        (True, "cuda", "cuda:0"),
        (True, "cuda:1", "cuda:1"),
    ],
)
def test_the_wanted_device_else_a_gpu_else_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
    gpu: bool,
    wanted: str | None,
    chosen: str,
) -> None:
    set_gpu(monkeypatch, gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device(wanted) == chosen


@pytest.fixture(name="second")
def fixture_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second of two on its machine, which has 2 GPUs."""
    for name, value in {"WORLD_SIZE": 2, "RANK": 1, "LOCAL_RANK": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("gpu", "wanted", "chosen"),
    [
        (True, None, "cuda:1"),
        (True, "cuda", "cuda:1"),
        (False, None, "cpu"),
        (False, "cpu", "cpu"),
    ],
)
@pytest.mark.usefixtures("second")
def test_of_several_processes_each_takes_the_gpu_of_its_number(
    monkeypatch: pytest.MonkeyPatch,
    gpu: bool,
    wanted: str | None,
    chosen: str,
) -> None:
    set_gpu(monkeypatch, gpu)
    assert choose_device(wanted) == chosen


@pytest.mark.usefixtures("second")
def test_a_launcher_can_keep_several_processes_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_gpu(monkeypatch, there=True)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert choose_device(None) == choose_device("cpu") == "cpu"


@pytest.mark.parametrize("wanted", ["cuda:0", "cpu", "mps"])
@pytest.mark.usefixtures("second")
def test_a_device_that_several_processes_cannot_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
) -> None:
    set_gpu(monkeypatch, there=True)
    with pytest.raises(ConfigError, match="device of several processes"):
        choose_device(wanted)


@pytest.mark.usefixtures("second")
def test_more_processes_than_gpus_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_gpu(monkeypatch, there=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError) as caught:
        choose_device(None)
    (problem,) = caught.value.problems
    assert problem == "no GPU is left for process 2; there are 1"
    assert caught.value.fix == "start no more than 1 on this machine"


@without_gpu
@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:3"])
def test_a_gpu_that_is_not_there_is_refused_with_the_reason(
    wanted: str,
) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(wanted)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{wanted!r} is not available; no GPU")
    assert "leave `device` out" in str(caught.value.fix)


def test_a_number_that_no_gpu_has_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_gpu(monkeypatch, there=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(devices, "explain_devices", lambda: "GPU X, 8 GiB")
    with pytest.raises(ConfigError, match="'cuda:1' is not available; GPU X"):
        choose_device("cuda:1")


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", ""])
def test_a_device_that_torch_does_not_know_is_refused(wanted: str) -> None:
    with pytest.raises(ConfigError, match="is not available"):
        choose_device(wanted)


@pytest.mark.skipif(
    torch.backends.mps.is_available(),
    reason="this machine has Metal",
)
def test_metal_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="'mps' is not available"):
        choose_device("mps")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (None, "no GPU: this torch was built for the CPU alone"),
        ("12.8", "no GPU that torch, built for CUDA 12.8, can use"),
    ],
)
def test_a_missing_gpu_is_told_from_a_torch_without_cuda(
    monkeypatch: pytest.MonkeyPatch,
    build: str | None,
    text: str,
) -> None:
    set_gpu(monkeypatch, there=False)
    monkeypatch.setattr(torch.version, "cuda", build)
    assert explain_devices() == text


@pytest.mark.parametrize(
    ("wanted", "dtype"),
    [
        ("float32", torch.float32),
        ("float16", torch.float16),
        ("bfloat16", torch.bfloat16),
        ("torch.bfloat16", torch.bfloat16),
        (torch.float16, torch.float16),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_the_wanted_format_is_taken_on_every_device(
    device: str,
    wanted: str,
    dtype: torch.dtype,
) -> None:
    assert choose_dtype(device, wanted) == dtype


@pytest.mark.parametrize(
    ("device", "fast", "dtype"),
    [
        ("cpu", True, torch.bfloat16),
        ("cpu", False, torch.float32),
        ("cuda:0", True, torch.bfloat16),
        ("cuda:0", False, torch.float16),
        ("mps", True, torch.float32),
    ],
)
def test_else_the_format_that_is_fast_there(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    fast: bool,
    dtype: torch.dtype,
) -> None:
    monkeypatch.setattr(
        devices,
        "cpu_computes_bfloat16_fast",
        lambda cache: fast,
    )
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation: fast,
    )
    assert choose_dtype(device, None) == dtype


@pytest.mark.parametrize(("bfloat16_s", "fast"), [(0.5, True), (0.9, False)])
def test_bfloat16_is_fast_where_it_is_clearly_faster_than_float32(
    monkeypatch: pytest.MonkeyPatch,
    bfloat16_s: float,
    fast: bool,
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: bfloat16_s}
    monkeypatch.setattr(devices, "_seconds", seconds.__getitem__)
    assert devices.cpu_computes_bfloat16_fast.__wrapped__() is fast


def test_the_speed_of_this_cpu_is_measured_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = devices.cpu_computes_bfloat16_fast()
    monkeypatch.setattr(devices, "_seconds", lambda dtype: pytest.fail())
    assert devices.cpu_computes_bfloat16_fast() is first


def test_what_was_measured_is_kept_for_the_next_process(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    measure = devices.cpu_computes_bfloat16_fast.__wrapped__
    seconds = {torch.float32: 1.0, torch.bfloat16: 0.5}
    monkeypatch.setattr(devices, "_seconds", seconds.get)
    assert measure(tmp_path / "new") is True
    monkeypatch.setattr(devices, "_seconds", {}.get)
    assert measure(tmp_path / "new") is True


def test_what_was_measured_holds_for_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    measure = devices.cpu_computes_bfloat16_fast.__wrapped__
    monkeypatch.setattr(devices, "_seconds", lambda dtype: 1.0)
    for number in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda one=number: one)
        assert measure(tmp_path / "new") is False
        monkeypatch.setattr(devices, "_seconds", {}.get)


def test_a_folder_that_cannot_be_written_costs_only_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(devices, "_seconds", lambda dtype: 1.0)
    measure = devices.cpu_computes_bfloat16_fast.__wrapped__
    assert measure(tmp_path / "file" / "cache") is False
