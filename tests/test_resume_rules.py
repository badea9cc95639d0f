# -*- coding: utf-8 -*-
"""What may change when a run goes on, and what may not."""

import dataclasses
import json
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.errors import CheckpointError
from local_llm.resume_rules import (
    RULES,
    DataChanged,
    Rule,
    RunRecord,
    compare,
    record_from,
    rule_for,
    rules_as_markdown,
)

PROJECT = Path(__file__).resolve().parents[1]
RECORD = RunRecord(
    base="b1",
    data="d1",
    first_row=[2, 7, 7],
    lora_config={"r": 8, "target_modules": ["q_proj", "v_proj"]},
    bnb_config={"load_in_4bit": True},
    training_args={
        "learning_rate": 2e-4,
        "max_steps": 100,
        "num_train_epochs": 3,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "seed": 1,
        "logging_steps": 1,
    },
    options={"max_seq_length": 1024, "packing": True},
    libraries={"torch": "2.13.0+cpu", "peft": "0.21.2", "datasets": "5.2.0"},
)


def changed(section: str, **changes: Any) -> RunRecord:
    """The record with some keys of a section replaced."""
    return replace(
        RECORD, **{section: {**getattr(RECORD, section), **changes}}
    )


FORBIDDEN = {
    "training_args.learning_rate": changed("training_args", learning_rate=1.0),
    "training_args.per_device_train_batch_size": changed(
        "training_args", per_device_train_batch_size=2
    ),
    "training_args.gradient_accumulation_steps": changed(
        "training_args", gradient_accumulation_steps=4
    ),
    "training_args.seed": changed("training_args", seed=2),
    "training_args.weight_decay": changed("training_args", weight_decay=0.1),
    "training_args.max_steps": changed("training_args", max_steps=99),
    "training_args.num_train_epochs": changed(
        "training_args", num_train_epochs=2.5
    ),
    "lora_config.r": changed("lora_config", r=16),
    "lora_config.use_dora": changed("lora_config", use_dora=True),
    "lora_config": replace(RECORD, lora_config=None),
    "bnb_config.load_in_4bit": changed("bnb_config", load_in_4bit=False),
    "options.max_seq_length": changed("options", max_seq_length=512),
    "options.packing": changed("options", packing=False),
    "options.unheard_of": changed("options", unheard_of=1),
    "base": replace(RECORD, base="b2"),
    "data": replace(RECORD, data="d2"),
    "first_row": replace(RECORD, first_row=[2, 8]),
    "processes": replace(RECORD, processes=2),
    "continued_from": replace(RECORD, continued_from="k"),
    "libraries.torch": changed("libraries", torch="3.0.0"),
    "libraries.peft": changed("libraries", peft="1.0.0"),
    "libraries.trl": changed("libraries", trl="2.0.0"),
}

ALLOWED = {
    "training_args.max_steps: 100 -> 101": changed(
        "training_args", max_steps=101
    ),
    "training_args.num_train_epochs: 3 -> 3.5": changed(
        "training_args", num_train_epochs=3.5
    ),
    "training_args.logging_steps: 1 -> 5": changed(
        "training_args", logging_steps=5
    ),
    "training_args.save_steps: not set -> 7": changed(
        "training_args", save_steps=7
    ),
    "training_args.eval_steps: not set -> 7": changed(
        "training_args", eval_steps=7
    ),
    'training_args.report_to: not set -> ["trackio"]': changed(
        "training_args", report_to=["trackio"]
    ),
    "training_args.gradient_checkpointing: not set -> true": changed(
        "training_args", gradient_checkpointing=True
    ),
    "training_args.activation_checkpointing: not set -> true": changed(
        "training_args", activation_checkpointing=True
    ),
    "training_args.activation_checkpointing_kwargs: not set -> {}": changed(
        "training_args", activation_checkpointing_kwargs={}
    ),
    "options.early_stopping_patience: not set -> 3": changed(
        "options", early_stopping_patience=3
    ),
    "libraries.torch: 2.13.0+cpu -> 2.14.1": changed(
        "libraries", torch="2.14.1"
    ),
    "libraries.datasets: 5.2.0 -> 6.0.0": changed(
        "libraries", datasets="6.0.0"
    ),
}


def test_without_a_change_there_is_nothing_to_tell() -> None:
    assert compare(RECORD, replace(RECORD)) == []


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_forbidden_change_is_named_with_its_rule(part: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        compare(RECORD, FORBIDDEN[part])
    lines = caught.value.message.splitlines()[1:]
    assert len(lines) == 1
    assert lines[0].startswith(f"  - {part}: ")
    assert lines[0].endswith(f"({rule_for(part).value})")


@pytest.mark.parametrize("change", ALLOWED)
def test_an_allowed_change_is_told(change: str) -> None:
    assert compare(RECORD, ALLOWED[change]) == [change]


def test_every_forbidden_change_is_told_at_once() -> None:
    new = replace(
        changed("training_args", learning_rate=1.0, seed=2, max_steps=200),
        base="b2",
        lora_config={"r": 16},
    )
    with pytest.raises(CheckpointError) as caught:
        compare(RECORD, new)
    found = [line.split(":")[0] for line in str(caught.value).splitlines()[1:]]
    assert found == [
        "  - base",
        "  - lora_config.r",
        "  - lora_config.target_modules",
        "  - training_args.learning_rate",
        "  - training_args.seed",
        "  fix",
    ]


def test_other_data_is_used_where_it_is_accepted() -> None:
    new = replace(RECORD, data="d2", first_row=[2, 8])
    assert compare(RECORD, new, accept_data_change=True) == [
        "data: d1 -> d2",
        "first_row: [2, 7, 7] -> [2, 8]",
    ]


def test_where_only_the_data_changed_the_way_to_accept_it_is_told() -> None:
    with pytest.raises(DataChanged) as caught:
        compare(RECORD, replace(RECORD, data="d2"))
    assert "--accept-data-change" in caught.value.fix


def test_accepting_other_data_accepts_nothing_else() -> None:
    new = replace(RECORD, data="d2", base="b2")
    with pytest.raises(CheckpointError) as caught:
        compare(RECORD, new, accept_data_change=True)
    assert "data" not in caught.value.message
    assert "--accept-data-change" not in caught.value.fix
    assert not isinstance(caught.value, DataChanged)


@pytest.mark.parametrize("value", [-1, 0, None, True, "200", float("nan")])
def test_a_limit_that_is_no_larger_number_is_refused(value: Any) -> None:
    with pytest.raises(CheckpointError, match="max_steps"):
        compare(RECORD, changed("training_args", max_steps=value))


def test_a_run_of_epochs_does_not_become_one_of_steps() -> None:
    by_epochs = changed("training_args", max_steps=-1)
    with pytest.raises(CheckpointError, match="max_steps"):
        compare(by_epochs, RECORD)


def test_a_long_value_is_cut_in_the_message() -> None:
    new = replace(RECORD, first_row=list(range(1000)))
    with pytest.raises(CheckpointError) as caught:
        compare(RECORD, new)
    assert max(map(len, str(caught.value).splitlines())) < 150


def test_a_record_comes_back_from_json_as_it_was() -> None:
    text = json.dumps({**RECORD.as_dict(), "changes": ["one"]})
    again = record_from(json.loads(text))
    assert again == RECORD
    assert compare(again, RECORD) == []


def test_a_tuple_and_a_path_are_what_json_makes_of_them() -> None:
    given = changed("options", place=Path("a"), pair=(1, 2))
    assert compare(record_from(given.as_dict()), given) == []


@pytest.mark.parametrize(
    "part",
    [field.name for field in dataclasses.fields(RunRecord)],
)
def test_a_record_without_a_part_is_a_checkpoint_error(part: str) -> None:
    values = RECORD.as_dict()
    del values[part]
    with pytest.raises(CheckpointError, match=f"no {part}"):
        record_from(values)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    part=st.sampled_from([one.name for one in dataclasses.fields(RunRecord)]),
    value=json_values,
)
def test_a_damaged_record_is_never_a_fault_of_the_program(
    part: str,
    value: Any,
) -> None:
    values = {**RECORD.as_dict(), part: value}
    try:
        compare(record_from(values), RECORD)
    except CheckpointError:
        pass


# -- the table --------------------------------------------------------------


def test_a_part_that_the_table_does_not_name_must_stay_the_same() -> None:
    assert rule_for("something.new") is Rule.SAME
    assert rule_for("training_args.max_grad_norm") is Rule.SAME


def test_every_rule_has_parts() -> None:
    assert {*RULES.values()} == {*Rule}


@pytest.mark.parametrize("pattern", RULES)
def test_the_longest_pattern_that_fits_is_the_first(pattern: str) -> None:
    name = pattern.replace("*", "x")
    fitting = [one for one in RULES if fnmatchcase(name, one)]
    assert fitting[0] == max(fitting, key=len) == pattern


def test_the_named_training_arguments_are_fields_of_the_library() -> None:
    from trl import SFTConfig

    names = {
        f"training_args.{one.name}" for one in dataclasses.fields(SFTConfig)
    }
    for pattern in RULES:
        if pattern.startswith("training_args."):
            assert any(fnmatchcase(name, pattern) for name in names), pattern


def test_every_part_of_a_record_is_in_the_table_by_name() -> None:
    for field in dataclasses.fields(RunRecord):
        assert any(one.split(".")[0] == field.name for one in RULES)


def test_the_readme_has_the_table() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert rules_as_markdown() in readme
