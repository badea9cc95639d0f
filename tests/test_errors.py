# -*- coding: utf-8 -*-
"""An error says what to do, and its class fixes the exit code."""

import pickle

import pytest

from local_llm import errors
from local_llm.errors import (
    ConfigError,
    LocalLLMError,
    TrainingError,
    TrainingInterrupted,
    WeightsError,
)

CODES = {
    "ConfigError": 2,
    "DatasetError": 2,
    "ModelAccessError": 3,
    "WeightsError": 3,
    "CheckpointError": 3,
    "ServiceError": 3,
    "TrainingError": 3,
    "TrainingInterrupted": 3,
    "ProcessLost": 3,
    "GenerationError": 3,
    "NotACall": 3,
}


def test_every_class_has_the_exit_code_of_who_must_act() -> None:
    found = {
        name: one.exit_code
        for name, one in vars(errors).items()
        if isinstance(one, type) and one is not LocalLLMError
    }
    assert found == CODES


@pytest.mark.parametrize("name", CODES)
def test_one_base_catches_them_all(name: str) -> None:
    assert issubclass(getattr(errors, name), LocalLLMError)


def test_the_text_is_the_message_with_the_fix_on_the_next_line() -> None:
    error = WeightsError("it is missing", fix="bring it")
    assert str(error) == "it is missing\n  fix: bring it"
    assert (error.message, error.fix) == ("it is missing", "bring it")


def test_without_a_fix_the_text_is_the_message() -> None:
    assert str(WeightsError("it is missing")) == "it is missing"


def test_a_config_error_lists_every_problem_below_the_place() -> None:
    error = ConfigError("a file", ["one", "two"], fix="correct both")
    assert str(error) == "a file:\n  - one\n  - two\n  fix: correct both"
    assert (error.where, error.problems) == ("a file", ["one", "two"])


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("a file", ["one", "two"], fix="correct both"),
        WeightsError("it is missing"),
        TrainingInterrupted("stopped", signal_number=1, fix="resume"),
    ],
)
def test_an_error_is_the_same_in_another_process(
    error: LocalLLMError,
) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there)) == (type(error), str(error))
    assert vars(there) == vars(error)


@pytest.mark.parametrize(("number", "code"), [(1, 129), (2, 130), (15, 143)])
def test_an_interrupted_run_exits_as_a_shell_tells_signals(
    number: int,
    code: int,
) -> None:
    error = TrainingInterrupted("stopped", signal_number=number, fix="resume")
    assert (error.exit_code, error.signal_number) == (code, number)
    assert isinstance(error, TrainingError)
    assert str(error) == "stopped\n  fix: resume"
