# -*- coding: utf-8 -*-
"""Signals that end a run, as a flag that the run looks at when it can stop.

Commits and stops nothing; the second request ends the process at once. Off
the main thread, and for a signal that is ignored, nothing is installed.
Raises nothing.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from .errors import TrainingInterrupted

STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
)

SAME_REQUEST_S = 0.5
"""Signals this soon after the first are one request: `timeout` and other
wrappers signal the process and then its whole group, it included."""


class StopRequest:
    """Whether a signal has asked for the end of a run."""

    def __init__(self) -> None:
        self._signal_number: int | None = None
        self._since_s = 0.0

    @property
    def requested(self) -> int | None:
        """The number of the first signal; None as long as none has come."""
        return self._signal_number

    def interruption(
        self,
        signal_number: int,
        progress: str,
        fix: str,
    ) -> TrainingInterrupted:
        """The error that ends a run whose last step was committed.

        Args:
            signal_number (`int`):
                What `requested` was.
            progress (`str`):
                How far the run is, for example "step 12 of 200".
            fix (`str`):
                How to resume it.
        """
        name = signal.Signals(signal_number).name
        return TrainingInterrupted(
            f"{name} stopped the run after {progress}, which is saved",
            signal_number=signal_number,
            fix=fix,
        )

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signal_number is None:
            self._signal_number = number
            self._since_s = time.monotonic()
        elif time.monotonic() - self._since_s > SAME_REQUEST_S:
            # Whatever is half written has no commit marker.
            os._exit(128 + number)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Let signals set a flag in place of what they did; undone at the end.

    Yields:
        `StopRequest`: The flag; never set off the main thread.
    """
    request = StopRequest()
    previous = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                handler = signal.getsignal(number)
                # Ignored is what nohup wants; None was not set by Python.
                if handler not in (signal.SIG_IGN, None):
                    previous[number] = handler
                    signal.signal(number, request._handle)
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
