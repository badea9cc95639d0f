# -*- coding: utf-8 -*-
"""Examines what a machine has for running and fine-tuning models.

Loads no model and changes nothing; asks the hub whether gated repositories are
open to the token. Raises nothing: what cannot be found out is said so.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelAccessError
from .hub_access import HubRepository, check_token, explain_hub_error
from .reports import library_versions

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined, and what was found."""

    name: str
    found: str


def examine(
    folder: Path,
    token: str | None,
    repositories: Iterable[HubRepository],
) -> list[Finding]:
    """Look at the device, the libraries, the space and the hub.

    Args:
        folder (`Path`):
            Where models and runs are kept.
        token (`str | None`):
            The hub's token; only whether there is one is told.
        repositories (`Iterable[HubRepository]`):
            Whose access to ask for.
    """
    return [
        Finding("device", _device()),
        Finding("number format", _number_format()),
        *(Finding(name, found) for name, found in library_versions().items()),
        Finding("free disk", _free_disk(folder)),
        Finding("free memory", _free_memory()),
        Finding("hub token", "found" if token else "none"),
        *(Finding(one.repo_id, _access(one)) for one in repositories),
    ]


def has_gpu() -> bool:
    """Whether torch can compute on a GPU here."""
    import torch

    return torch.cuda.is_available()


def _device() -> str:
    from .devices import explain_devices

    found = explain_devices()
    if not has_gpu() and _has_nvidia_driver():
        return f"{found}; an NVIDIA driver is there, so install a CUDA build"
    return found


def _number_format() -> str:
    from .devices import choose_device, choose_dtype

    dtype = choose_dtype(choose_device(None), None)
    return f"{str(dtype).removeprefix('torch.')} is fast here"


def _has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia").exists() or bool(
        shutil.which("nvidia-smi"),
    )


def _free_disk(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / _GIB:.0f} GiB at {folder}"


def _free_memory() -> str:
    """What a dry run compares with, so that both say the same."""
    import torch

    from .memory import free_memory_bytes

    return f"{free_memory_bytes(torch.device('cpu')) / _GIB:.1f} GiB"


def _access(repository: HubRepository) -> str:
    from huggingface_hub import auth_check
    from huggingface_hub.errors import HfHubHTTPError

    try:
        check_token(repository.token)
        auth_check(
            repository.repo_id,
            repo_type=repository.kind,
            token=repository.token,
        )
    except ModelAccessError as error:
        return error.message
    except HfHubHTTPError as error:
        explained = explain_hub_error(error, repository)
        return explained.message if explained else str(error)
    except (*HfHubHTTPError.__bases__, OSError):
        return "unknown, the hub cannot be reached"
    return "open to this token" if repository.token else "open"
