# -*- coding: utf-8 -*-
"""Programs that draw a run while it goes on: tensorboard, trackio and others.

None is used unless `report_to` names it, and none sends anything away unless
its own arguments say so. A resumed run goes on with the curve that it left.
Raises ConfigError for a tracker that is not known or not installed.
"""

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from transformers import TrainerCallback

TRACKER_LOGS = "tracker_logs"
"""Where trackers that write files write them, in the folder of a run."""

_NAME_FILE = "run_name.txt"
_PLACE = "fine_tune_config.training_args"
_PACKAGES = {
    "azure_ml": ("azureml", "azureml-mlflow"),
    "clearml": ("clearml", "clearml"),
    "codecarbon": ("codecarbon", "codecarbon"),
    "comet_ml": ("comet_ml", "comet-ml"),
    "dagshub": ("dagshub", "dagshub mlflow"),
    "dvclive": ("dvclive", "dvclive"),
    "flyte": ("flytekit", "flytekit"),
    "mlflow": ("mlflow", "mlflow"),
    "neptune": ("neptune", "neptune"),
    "swanlab": ("swanlab", "swanlab"),
    "tensorboard": ("tensorboard", "tensorboard"),
    "trackio": ("trackio", "trackio"),
    "wandb": ("wandb", "wandb"),
}
"""The module that a tracker needs, and what pip installs for it."""


def names_of(report_to: str | Sequence[str] | None) -> list[str]:
    """The trackers that `report_to` names."""
    if report_to is None or report_to == "none":
        return []
    names = [report_to] if isinstance(report_to, str) else report_to
    return [name for name in names if name != "none"]


def check_installed(report_to: str | Sequence[str] | None) -> None:
    """See, before anything is loaded, that the trackers can be used.

    Raises:
        `ConfigError`: A package is missing; each is named.
    """
    wanted = [one for one in names_of(report_to) if one in _PACKAGES]
    missing = [one for one in wanted if not _is_installed(_PACKAGES[one][0])]
    if missing:
        packages = " ".join(_PACKAGES[name][1] for name in missing)
        raise ConfigError(
            _PLACE,
            [f"report_to: {name} is not installed" for name in missing],
            fix=f"pip install {packages}, or leave report_to out",
        )


def run_name(folder: Path) -> str:
    """The name of a run in trackers, the same after an interruption.

    Args:
        folder (`Path`):
            The unfinished run's.
    """
    path = folder / TRACKER_LOGS / _NAME_FILE
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = time.strftime("%Y%m%d-%H%M%S")
        path.write_text(f"{folder.stem}-{begun}", encoding="utf-8")
    return path.read_text(encoding="utf-8")


def callbacks(
    report_to: str | Sequence[str] | None,
    folder: Path,
    step: int,
) -> list["TrainerCallback"]:
    """What tells the trackers, for a trainer of transformers.

    Args:
        report_to (`str | Sequence[str] | None`):
            The trackers' names.
        folder (`Path`):
            The unfinished run's.
        step (`int`):
            The optimizer steps done before.

    Raises:
        `ConfigError`: A tracker is not known or not installed.
    """
    check_installed(report_to)
    return [_callback(name, folder, step) for name in names_of(report_to)]


def _is_installed(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _callback(name: str, folder: Path, step: int) -> "TrainerCallback":
    from transformers.integrations import integration_utils

    if name == "tensorboard":
        return _tensorboard(folder / TRACKER_LOGS, step)
    if name == "trackio":
        return _trackio()
    try:
        (kind,) = integration_utils.get_reporting_integration_callbacks([name])
        return kind()
    except (RuntimeError, ImportError, ValueError) as error:
        raise ConfigError(_PLACE, [f"report_to: {error}"]) from error


def _tensorboard(logs: Path, step: int) -> "TrainerCallback":
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    # What was drawn after the last checkpoint is drawn again, not twice.
    first = SummaryWriter(logs, purge_step=step + 1 if step else None)
    callback = TensorBoardCallback(first)
    callback.logging_dir = str(logs)  # of the writers that it makes itself
    return callback


def _trackio() -> "TrainerCallback":
    from transformers.integrations import TrackioCallback
    from transformers.integrations.integration_utils import rewrite_logs

    class AtItsStep(TrackioCallback):
        """Tells the optimizer step; without, trackio counts what it gets."""

        def on_log(
            self,
            args: Any,
            state: Any,
            control: Any,
            model: Any = None,
            logs: dict[str, Any] | None = None,
            **kwargs: Any,
        ) -> None:
            if not self._initialized:
                self.setup(args, state, model)
            self._trackio.log(rewrite_logs(logs or {}), step=state.global_step)

    return AtItsStep()
