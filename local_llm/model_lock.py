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

from .cpu_threads import give_back_threads
from .errors import GenerationError, TrainingError

LOCK_TIMEOUT_S = 60.0
"""How long a change of the model waits for a running reply."""

_POLL_S = 0.1


class ModelLock:
    """Lets one generation or one training run use a model.

    Attributes:
        training_progress (`str | None`):
            How far the training run is, None where there is none.
        changes (`int`):
            How often somebody was let in who may change the model.
    """

    def __init__(self) -> None:
        self._in_use = threading.Lock()
        self._counting = threading.Lock()
        self._waiting_to_change = 0
        self.training_progress: str | None = None
        self.changes = 0

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits who wants to change the model; who generates
        takes on nothing new then."""
        return self._waiting_to_change > 0

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
            if self._acquired_in_turn():
                break
            if time.monotonic() > deadline:
                raise GenerationError(
                    f"the model was busy for {timeout_s:.0f} s",
                    fix="ask again later",
                )
        try:
            yield
        finally:
            self._release()

    @contextlib.contextmanager
    def training(self, timeout_s: float) -> Iterator[None]:
        """Use the model for a training run; replies are refused meanwhile.

        Args:
            timeout_s (`float`):
                How long to wait for running replies, in seconds.

        Raises:
            `TrainingError`: The model is still in use after that time.
        """
        with self.changing(timeout_s):
            self.training_progress = "starting"
            try:
                yield
            finally:
                self.training_progress = None

    @contextlib.contextmanager
    def changing(self, timeout_s: float) -> Iterator[None]:
        """Use the model for a short change; replies wait meanwhile.

        Args:
            timeout_s (`float`):
                How long to wait for running replies, in seconds.

        Raises:
            `TrainingError`: The model is still in use after that time.
        """
        if not self._acquired_before_replies(timeout_s):
            raise TrainingError(
                f"the model was busy for {timeout_s:.0f} s",
                fix="try again when no reply is being generated and no "
                "fine-tuning runs",
            )
        self.changes += 1
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        # Or the next user, in another thread, would compute half as fast.
        give_back_threads()
        self._in_use.release()

    def _acquired_in_turn(self) -> bool:
        """Who wants to change the model comes first: replies follow each
        other so closely that it would never get in between."""
        if self.is_wanted:
            time.sleep(_POLL_S)
            return False
        return self._in_use.acquire(timeout=_POLL_S)

    def _acquired_before_replies(self, timeout_s: float) -> bool:
        with self._counting:
            self._waiting_to_change += 1
        try:
            return self._in_use.acquire(timeout=timeout_s)
        finally:
            with self._counting:
                self._waiting_to_change -= 1
