# -*- coding: utf-8 -*-
"""Names that are no key: each is one of a library, or of none any more."""

from typing import Any

import pytest

from local_llm.errors import ConfigError
from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings import parse_settings
from local_llm.settings_names import OLD_NAMES, RESERVED, SECRET_KEYS
from local_llm.settings_values import RULES


@pytest.mark.parametrize("section", RESERVED)
def test_every_reserved_name_is_a_field_of_its_library(section: str) -> None:
    assert RESERVED[section].keys() - library_fields(section).keys() == set()


@pytest.mark.parametrize("section", OLD_NAMES)
def test_no_old_name_is_a_name_of_today(section: str) -> None:
    today = set(RULES[section])
    if section in LIBRARIES:
        today |= library_fields(section).keys()
    assert OLD_NAMES[section].keys() & today == set()


def test_no_key_has_a_range_and_is_reserved_or_secret() -> None:
    for section, rules in RULES.items():
        assert rules.keys() & RESERVED.get(section, {}).keys() == set()
        assert rules.keys() & SECRET_KEYS == set()


def problems_of(section: str, **values: Any) -> list[str]:
    """What is told of an entry with these values in a section."""
    entry = {
        "config_name": "a",
        "model_type": "huggingface",
        "local_model_path": "m",
        "fine_tune_config": {"lora_config": {}, section: values},
    }
    with pytest.raises(ConfigError) as caught:
        parse_settings(entry, "here")
    return caught.value.problems


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ignore_data_skip", True),
        ("save_only_model", True),
        ("metric_for_best_model", "accuracy"),
        ("greater_is_better", True),
        ("dataloader_num_workers", 2),
        ("dataloader_prefetch_factor", 2),
        ("dataloader_persistent_workers", True),
        ("dataloader_multiprocessing_context", "spawn"),
    ],
)
def test_what_a_run_decides_itself_is_refused_and_never_overridden(
    key: str,
    value: Any,
) -> None:
    reason = RESERVED["training_args"][key]
    assert problems_of("training_args", **{key: value}) == [
        f"fine_tune_config.training_args.{key}: is not set here: {reason}",
    ]


def test_a_start_of_an_adapter_that_is_refused_is_not_offered() -> None:
    (problem,) = problems_of("lora_config", init_lora_weights="orthogonal")
    wanted, _, found = problem.partition(", found ")
    assert wanted.endswith("wanted true, false or 'gaussian'")
    assert found == "the string 'orthogonal'"


@pytest.mark.parametrize("trackers", ["all", ["all"]])
def test_trackers_are_named_one_by_one(trackers: Any) -> None:
    (problem,) = problems_of("training_args", report_to=trackers)
    assert problem.startswith("fine_tune_config.training_args.report_to: ")
