# -*- coding: utf-8 -*-
"""The errors of a local model, one tree.

The class says who must act and fixes the exit code of the programs; the text
says what happened, where, and what to do. Third-party exceptions are turned
into these once, in the module that calls the library.
"""

EXIT_BUG = 1
EXIT_BAD_INPUT = 2
EXIT_ENVIRONMENT = 3


class LocalLLMError(Exception):
    """Base of every error that a user of this package can cause.

    Args:
        message (`str`):
            What happened and where, in one sentence.
        fix (`str | None`, optional):
            What to do about it, in the imperative.
    """

    exit_code = EXIT_ENVIRONMENT

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __reduce__(self) -> tuple:
        """Let it travel to other processes; a subclass may take other
        arguments than those it hands on."""
        return _rebuilt, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        """The message, and the fix on a line of its own."""
        return (
            f"{self.message}\n  fix: {self.fix}" if self.fix else self.message
        )


class ConfigError(LocalLLMError):
    """A configuration that cannot be used; lists every problem at once.

    Args:
        where (`str`):
            The file, and the entry in it.
        problems (`list[str]`):
            One line for each problem: key, what was found, what is wanted.
        fix (`str | None`, optional):
            What to do about it.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(
        self,
        where: str,
        problems: list[str],
        *,
        fix: str | None = None,
    ) -> None:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"{where}:{lines}", fix=fix)
        self.where = where
        self.problems = problems


class DatasetError(LocalLLMError):
    """Training data that cannot be read or trained on."""

    exit_code = EXIT_BAD_INPUT


class ModelAccessError(LocalLLMError):
    """A model or dataset that this machine or token may not reach."""


class WeightsError(LocalLLMError):
    """Weights, a tokenizer or an adapter that cannot be loaded safely."""


class CheckpointError(LocalLLMError):
    """A run folder that cannot be written, resumed or replaced."""


class ServiceError(LocalLLMError):
    """A service that cannot run here: its address, or its storage."""


class TrainingError(LocalLLMError):
    """A fine-tuning run that had to stop."""


class TrainingInterrupted(TrainingError):
    """A run that a signal ended, after what it had learned was committed.

    Args:
        message (`str`):
            Which signal, and how far the run was.
        signal_number (`int`):
            The signal; the exit code follows from it, as in a shell.
        fix (`str | None`, optional):
            How to go on.
    """

    def __init__(
        self,
        message: str,
        *,
        signal_number: int,
        fix: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


class ProcessLost(TrainingError):
    """Another process that trains together with this one has ended."""


class GenerationError(LocalLLMError):
    """A reply that could not be generated; the model stays usable."""


class NotACall(GenerationError):
    """A reply that had to call a tool, and does not call one as it should."""


def _rebuilt(
    kind: type[LocalLLMError],
    arguments: tuple,
    values: dict[str, object],
) -> LocalLLMError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(values)
    return error
