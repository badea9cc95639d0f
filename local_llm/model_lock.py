# -*- coding: utf-8 -*-
"""One lock for a model's weights, with what they are used for.

Generating and training change the same modules: the active adapter, dropout,
the form of 4-bit weights. Only one of them happens at a time. Waits are
bounded. Raises GenerationError and TrainingError.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from .errors import GenerationError, TrainingError

LOCK_TIMEOUT_S = 60.0
"""How long a change of the model waits for a running reply."""

_POLL_S = 0.1


class ModelLock:
    """Lets one generation, one change or one training run use a model.

    Attributes:
        training_progress (`str | None`):
            How far the training run is, None where there is none.
    """

    def __init__(self) -> None:
        self._in_use = threading.Lock()
        self.training_progress: str | None = None

    def refuse_while_training(self) -> None:
        """Raise at once where a training run uses the model.

        Raises:
            `GenerationError`: Fine-tuning is in progress.
        """
        if self.training_progress is not None:
            raise GenerationError(
                f"fine-tuning in progress ({self.training_progress})",
                fix="ask again when it has finished",
            )

    @contextlib.contextmanager
    def generating(self, timeout_s: float) -> Iterator[None]:
        """Use the model for a reply.

        Args:
            timeout_s (`float`):
                How long to wait for another user of the model, in seconds.

        Raises:
            `GenerationError`: Training is in progress, or the wait was over.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self.refuse_while_training()
            if self._in_use.acquire(timeout=_POLL_S):
                break
            if time.monotonic() > deadline:
                raise GenerationError(
                    f"the model was busy for {timeout_s:.0f} s",
                    fix="ask again later",
                )
        try:
            yield
        finally:
            self._in_use.release()

    @contextlib.contextmanager
    def changing(self, timeout_s: float) -> Iterator[None]:
        """Use the model to change what lies on it; replies wait meanwhile.

        Args:
            timeout_s (`float`):
                How long to wait for a running reply, in seconds.

        Raises:
            `TrainingError`: The model is still in use after that time.
        """
        if not self._in_use.acquire(timeout=timeout_s):
            raise TrainingError(
                f"the model was busy for {timeout_s:.0f} s",
                fix="try again when no reply is being generated and no other "
                "fine-tuning runs",
            )
        try:
            yield
        finally:
            self._in_use.release()

    @contextlib.contextmanager
    def training(self, timeout_s: float) -> Iterator[None]:
        """Use the model for a training run; replies are refused meanwhile.

        Args:
            timeout_s (`float`):
                How long to wait for a running reply, in seconds.

        Raises:
            `TrainingError`: The model is still in use after that time.
        """
        with self.changing(timeout_s):
            self.training_progress = "starting"
            try:
                yield
            finally:
                self.training_progress = None
