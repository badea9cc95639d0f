# -*- coding: utf-8 -*-
"""The processes that train together, as `accelerate launch` starts them.

A process that was started alone is the main one of one. Reads the environment
when it is asked, never at import. Raises ConfigError for a launch that cannot
be meant, ProcessLost where another process has ended, and in every process
what the main one raises.
"""

import contextlib
import datetime
import os
import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

from .errors import ConfigError, LocalLLMError, ProcessLost

Made = TypeVar("Made")

# As torch names them, then as the launchers of MPI do.
_COUNT = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
_RANK = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK")
_LOCAL_RANK = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK")

_PATIENCE = datetime.timedelta(hours=2)
"""How long one process waits for another: the main one may be asked prompts or
fetch a model meanwhile. One that has ended is noticed at once."""

_STORE_PATIENCE = datetime.timedelta(seconds=3)


def count() -> int:
    """How many processes train together."""
    return _number(_COUNT, 1)


def is_main() -> bool:
    """Whether this is the one that writes and speaks."""
    return _number(_RANK, 0) == 0


def local_rank() -> int:
    """The number of this process on its machine."""
    return _number(_LOCAL_RANK, 0)


def uses_cpu() -> bool:
    """Whether the launcher was told to leave GPUs alone."""
    told = os.environ.get("ACCELERATE_USE_CPU", "false")
    return told.lower() in ("1", "true", "yes")


def check_launch() -> None:
    """See that there are as many processes as the launcher was asked for.

    Raises:
        `ConfigError`: `accelerate launch --cpu` was asked for several; it
            leaves it to MPI to start them, and starts one itself.
    """
    asked_for_several = uses_cpu() and "MASTER_PORT" in os.environ
    if asked_for_several and not any(name in os.environ for name in _COUNT):
        raise ConfigError(
            "accelerate launch",
            ["with --cpu it has started one process, not several"],
            fix="leave --cpu out and give --multi_gpu, which starts several "
            "on CPUs too, or start it through mpirun",
        )


def connect(device_type: str) -> None:
    """Find the other processes; every process calls it, more often does
    nothing.

    Args:
        device_type (`str`):
            Where they train, `cuda` or `cpu`.

    Raises:
        `ProcessLost`: One of them does not come.
    """
    if count() == 1:
        return
    from accelerate import PartialState

    with _losses_translated():
        PartialState(cpu=device_type == "cpu", timeout=_PATIENCE)


def wait_for_all() -> None:
    """Wait until every process has come to this point."""
    if count() == 1:
        return
    from accelerate import PartialState

    with _losses_translated():
        PartialState().wait_for_everyone()


def from_main(make: Callable[[], Made]) -> Made:
    """Let the main process make something, and have it in every process.

    Args:
        make (`Callable[[], Made]`):
            Called in the main process alone.

    Raises:
        `LocalLLMError`: What `make` raises, in every process.
    """
    if count() == 1:
        return make()
    made = error = None
    if is_main():
        try:
            made = make()
        except LocalLLMError as raised:
            error = raised
    made, error = _broadcast((made, error))
    if error is not None:
        raise error
    return made


def is_loss(error: Exception) -> bool:
    """Whether a library's error says that another process is gone."""
    if count() == 1:
        return False
    import torch.distributed

    from_network = isinstance(error, torch.distributed.DistError)
    return from_network or "gloo" in str(error).lower()


def loss() -> ProcessLost:
    """The error for another process that is gone."""
    return ProcessLost(
        "another process of this training has ended",
        fix="see what it said; what was saved before can be resumed",
    )


def is_first_to_fail() -> bool:
    """Whether no other process of this machine has asked this yet.

    The first that fails says why; that it is gone makes the others fail, of
    which nobody wants to read.
    """
    if count() == 1:
        return True
    import torch.distributed

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    key = f"local_llm/failed/{socket.gethostname()}/{attempt}"
    try:
        store = torch.distributed.TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=_STORE_PATIENCE,
            wait_for_workers=False,
        )
        return store.add(key, 1) == 1
    except (KeyError, ValueError, RuntimeError):
        return local_rank() == 0


def _broadcast(values: tuple) -> tuple:
    """What the main process has, in every process."""
    import torch.distributed

    box = [values]
    with _losses_translated():
        torch.distributed.broadcast_object_list(box, src=0)
    # The main process must not be gone before all have received it.
    wait_for_all()
    return box[0]


@contextlib.contextmanager
def _losses_translated() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, EOFError) as error:
        raise loss() from error


def _number(names: tuple[str, ...], default: int) -> int:
    given = (os.environ[name] for name in names if name in os.environ)
    return int(next(given, default))
