# -*- coding: utf-8 -*-
"""Adapters of one base model under the names that people give them.

Everybody who shares the weights finds them there. One that a running reply
needs goes when that reply has ended. Trains nothing. Raises ConfigError,
CheckpointError, WeightsError, GenerationError and TrainingError.
"""

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import adapters, atomic_files, reports
from .adapter_files import is_adapter
from .base_model import BaseModel
from .errors import (
    CheckpointError,
    ConfigError,
    GenerationError,
    LocalLLMError,
)
from .generation import Delivery, Failure, Request
from .model_lock import LOCK_TIMEOUT_S
from .reports import RunReport

log = logging.getLogger(__name__)

NAME_PATTERN = "[a-z][a-z0-9_-]{0,63}"
RESERVED = ("base", "default", "none")
"""Words for no adapter at all, and peft's name for one without a name."""


@dataclass(eq=False)
class NamedAdapter:
    """An adapter that lies on a base model.

    Attributes:
        name (`str`):
            What people call it.
        internal (`str`):
            What it is called on the base model.
        folder (`Path`):
            Where it was read.
        report (`RunReport | None`):
            Of the run that made it, None where others did.
        replies (`int`):
            How many replies need it now.
        leaves (`bool`):
            Whether it waits for them to end; no new ones begin.
    """

    name: str
    internal: str
    folder: Path
    report: RunReport | None
    replies: int = 0
    leaves: bool = False


class NamedAdapters:
    """The adapters that lie on one base model under a name.

    Args:
        base (`BaseModel`):
            The model.
    """

    def __init__(self, base: BaseModel) -> None:
        self._base = base
        self._adapters: dict[str, NamedAdapter] = {}
        self._changing = threading.Lock()
        self._replies = threading.Condition()

    @property
    def names(self) -> list[str]:
        """The names in use, in their order."""
        return sorted(self._adapters)

    def load(self, name: str, folder: Path) -> NamedAdapter:
        """Put an adapter on the base model; it changes no reply yet.

        Waits for a running reply, as all that changes the model does.

        Args:
            name (`str`):
                What to call it.
            folder (`Path`):
                Of a finished run, or as peft writes it.

        Raises:
            `ConfigError`: The name cannot be used, or is in use.
            `CheckpointError`: A file of the run is missing or was changed.
            `WeightsError`: There is no adapter, or one of another base.
            `GenerationError`, `TrainingError`: Others have changed or used
                the model for too long.
        """
        check_name(name)
        with self._one_change():
            if name in self._adapters:
                raise ConfigError(
                    "load_adapter",
                    [f"the name {name!r} is in use on {self._base.name}"],
                    fix="choose another name, or unload_adapter first",
                )
            return self._load(name, folder)

    def ensure(self, name: str, folder: Path) -> NamedAdapter:
        """The same, unless an adapter of that name is there already."""
        check_name(name)
        with self._one_change():
            return self._adapters.get(name) or self._load(name, folder)

    def unload(self, name: str, timeout_s: float = LOCK_TIMEOUT_S) -> None:
        """Take an adapter off the base model and free its memory.

        No new reply begins with it; those that need it come to their end
        first. Where they take too long, it stays as it was.

        Args:
            name (`str`):
                What it is called.
            timeout_s (`float`, optional):
                How long to wait for replies, in seconds.

        Raises:
            `ConfigError`: There is none of that name.
            `GenerationError`: Replies still need it after that time.
            `TrainingError`: The model is in use after that time.
        """
        with self._one_change():
            adapter = self.find(name)
            adapter.leaves = True
            try:
                self._wait_for_replies(adapter, timeout_s)
                adapters.remove_adapter(self._base, adapter.internal)
            except LocalLLMError:
                adapter.leaves = False
                raise
            del self._adapters[name]
        log.info("adapter unloaded name=%s", name)

    def find(self, name: str) -> NamedAdapter:
        """The adapter of a name.

        Raises:
            `ConfigError`: There is none; the names in use are told.
        """
        try:
            return self._adapters[name]
        except KeyError as error:
            raise ConfigError(
                "the name of an adapter",
                [
                    f"{self._base.name} has no adapter {str(name)[:80]!r}; it "
                    f"has {', '.join(self.names) or 'none'}",
                ],
                fix="name one that is there, or load_adapter(name, path) "
                "first; use_adapter(None) is the bare base model",
            ) from error

    @contextlib.contextmanager
    def in_use(self, adapter: NamedAdapter | None) -> Iterator[None]:
        """Keep an adapter, if there is one, for as long as the block takes.

        Raises:
            `GenerationError`: It is unloaded, or is about to be.
        """
        self._begin(adapter)
        try:
            yield
        finally:
            self._end(adapter)

    @contextlib.contextmanager
    def kept_for(
        self,
        adapter: NamedAdapter | None,
        request: Request,
    ) -> Iterator[None]:
        """Keep an adapter, if there is one, until a request has its last
        delivery; the block submits the request.

        Raises:
            `GenerationError`: It is unloaded, or is about to be.
        """
        self._begin(adapter)
        ended = threading.Event()

        def end() -> None:
            if not ended.is_set():
                ended.set()
                self._end(adapter)

        request.deliver = _then_at_the_end(request.deliver, end)
        try:
            yield
        except BaseException:
            end()
            raise

    def _load(self, name: str, folder: Path) -> NamedAdapter:
        report = _checked_report(folder)
        internal = adapters.load_adapter(self._base, folder)
        adapter = NamedAdapter(name, internal, folder, report)
        self._adapters[name] = adapter
        log.info("adapter loaded name=%s folder=%s", name, folder)
        return adapter

    @contextlib.contextmanager
    def _one_change(self) -> Iterator[None]:
        """One change after the other."""
        if not self._changing.acquire(timeout=2 * LOCK_TIMEOUT_S):
            raise GenerationError(
                f"the adapters of {self._base.name} were being changed for "
                f"{2 * LOCK_TIMEOUT_S:.0f} s",
                fix="try again later",
            )
        try:
            yield
        finally:
            self._changing.release()

    def _wait_for_replies(
        self,
        adapter: NamedAdapter,
        timeout_s: float,
    ) -> None:
        with self._replies:
            ended = self._replies.wait_for(
                lambda: not adapter.replies,
                timeout_s,
            )
        if not ended:
            raise GenerationError(
                f"the adapter {adapter.name!r} is in use by "
                f"{adapter.replies} replies, also after {timeout_s:g} s",
                fix="unload it when they have ended",
            )

    def _begin(self, adapter: NamedAdapter | None) -> None:
        if adapter is None:
            return
        with self._replies:
            gone = self._adapters.get(adapter.name) is not adapter
            if gone or adapter.leaves:
                raise GenerationError(
                    f"the adapter {adapter.name!r} was unloaded",
                    fix="load it again, or use another one",
                )
            adapter.replies += 1

    def _end(self, adapter: NamedAdapter | None) -> None:
        if adapter is None:
            return
        with self._replies:
            adapter.replies -= 1
            self._replies.notify_all()


_making = threading.Lock()


def named_adapters(base: BaseModel) -> NamedAdapters:
    """The named adapters of a base model, the same for all who share it."""
    with _making:
        if base.named_adapters is None:
            base.named_adapters = NamedAdapters(base)
        return base.named_adapters


def check_name(name: str) -> None:
    """Refuse a name that could be a path, or that means something else.

    Raises:
        `ConfigError`: It cannot be used.
    """
    problem = None
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
        problem = f"{str(name)[:80]!r} is no name for an adapter"
    elif name in RESERVED:
        problem = f"{name!r} is reserved: it names no adapter"
    if problem is not None:
        raise ConfigError(
            "load_adapter",
            [problem],
            fix="use up to 64 lower-case letters, digits, - and _, a letter "
            f"first, and none of {', '.join(RESERVED)}",
        )


def _checked_report(folder: Path) -> RunReport | None:
    """The report of a finished run whose files are as they were."""
    if not atomic_files.is_sealed(folder):
        return None
    if not is_adapter(folder):
        raise CheckpointError(
            f"{folder.absolute()} is a finished run without an adapter",
            fix="load it with load_model(local_model_path=...)",
        )
    report = reports.read_report(folder)
    reports.check_run(folder)
    return report


def _then_at_the_end(
    deliver: Callable[[Delivery], None],
    end: Callable[[], None],
) -> Callable[[Delivery], None]:
    """Deliver, and tell when that was the last delivery."""

    def both(delivery: Delivery) -> None:
        try:
            deliver(delivery)
        finally:
            is_failure = isinstance(delivery, Failure)
            if is_failure or delivery.finish_reason is not None:
                end()

    return both
