# -*- coding: utf-8 -*-
"""The generated schema and page say what the settings say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local_llm.errors import ConfigError
from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings import parse_settings
from local_llm.settings_names import SECRET_KEYS
from local_llm.settings_reference import (
    FOLDER,
    files,
    main,
    page,
    schema,
    sections,
    versions,
)

jsonschema = pytest.importorskip("jsonschema")
SHIPPED = json.loads((FOLDER / "model_configs.json").read_text("utf-8"))


CHECKER = jsonschema.Draft202012Validator(schema())


def is_valid(entry: dict[str, Any]) -> bool:
    """Whether the schema accepts a file with this entry."""
    return bool(CHECKER.is_valid([entry]))


VERSIONS = re.compile(r"trl \S+, transformers \S+, peft [0-9a-z.]*[0-9a-z]")


def committed(name: str) -> str:
    """A committed file, as if the installed libraries had made it."""
    text = (FOLDER / name).read_text("utf-8")
    assert len(VERSIONS.findall(text)) == 1
    return VERSIONS.sub(versions(), text)


def parts_of(text: str) -> dict[str, str]:
    """The sections of a page by their headings."""
    return dict(part.split("\n", 1) for part in text.split("\n## "))


def of_a_library(name: str) -> bool:
    """Whether a section lists the fields of an installed library."""
    return name.rpartition(".")[2].strip("`") in LIBRARIES


def test_the_committed_page_says_what_would_be_written() -> None:
    found, wanted = parts_of(committed("README.md")), parts_of(page())
    assert list(found) == list(wanted)
    for heading, text in wanted.items():
        if not of_a_library(heading):
            assert found[heading] == text


def test_the_committed_schema_says_what_would_be_written() -> None:
    found = json.loads(committed("model_configs.schema.json"))
    wanted = schema()
    assert list(found["$defs"]) == list(wanted["$defs"])
    for name in set(wanted["$defs"]) & set(LIBRARIES):
        del found["$defs"][name], wanted["$defs"][name]
    assert found == wanted


def test_the_committed_files_list_the_fields_of_the_libraries() -> None:
    written = [committed(str(name)) == text for name, text in files().items()]
    original = (FOLDER / "README.md").read_text("utf-8")
    if not all(written) and versions() not in original:
        pytest.skip(f"{versions()} have other fields than the page")
    assert all(written)


def test_check_names_a_file_that_differs_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
    assert main(["--folder", str(tmp_path), "--check"]) == 0
    (tmp_path / "README.md").write_text("old", encoding="utf-8")
    assert main(["--folder", str(tmp_path), "--check"]) == 1
    assert f"{tmp_path / 'README.md'} is not" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text("utf-8") == "old"


def test_the_schema_is_a_json_schema_and_accepts_the_shipped_file() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(SHIPPED)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("lora_config.lora_alhpa", 1),
        ("lora_config.r", 0),
        ("lora_config.r", True),
        ("training_args.learning_rate", "2e-4"),
        ("training_args.learning_rate", 0),
        ("training_args.max_steps", 0),
        ("training_args.output_dir", "runs"),
        ("training_args.hub_token", "x"),
        ("bnb_config.bnb_4bit_quant_type", "nf5"),
        ("max_seq_length", 8),
        ("data_format", "csv"),
        ("columns", {"story": "text"}),
        ("columns", {"text": 5}),
    ],
)
def test_the_schema_and_the_settings_refuse_the_same(
    path: str,
    value: Any,
) -> None:
    entry = json.loads(json.dumps(SHIPPED[0]))
    place = entry["fine_tune_config"]
    *parents, key = path.split(".")
    for parent in parents:
        place = place[parent]
    place[key] = value
    assert not is_valid(entry)
    with pytest.raises(ConfigError, match=key):
        parse_settings(entry, "here")


# Not 4.0, an integer of JSON Schema, nor "True", which draws a warning.
POOL = [None, True, -2, -1, 0, 1, 16, 2**32, 0.5, 0.9, 1.5, "", "x", "nf4"]
POOL += ["bfloat16", "CAUSAL_LM", "pissa_niter_4", [], ["x"], [1], {}]
# What these must not say together no schema knows.
APART = {"load_best_model_at_end", "logging_steps", "eval_steps", "save_steps"}
APART |= {"layers_pattern", "layers_to_transform"}


@pytest.mark.parametrize(
    "name", ["training_args", "lora_config", "bnb_config"]
)
def test_the_schema_and_the_settings_agree_on_every_value(name: str) -> None:
    different = []
    for key in library_fields(name).keys() - APART:
        for value in POOL:
            config = {"lora_config": {}, name: {key: value}}
            entry = SHIPPED[1] | {"fine_tune_config": config}
            try:
                accepted = bool(parse_settings(entry, "here"))
            except ConfigError:
                accepted = False
            if accepted != is_valid(entry):
                different.append((key, value))
    assert different == []


@pytest.mark.parametrize(
    "data_path",
    [
        [],
        [" "],
        [5],
        [{"weight": 1}],
        [{"path": "a", "weight": 0}],
        [{"path": "a", "weigth": 1}],
        [{"path": "a", "data_format": "csv"}],
        [{"path": "a", "columns": {"story": "text"}}],
    ],
)
def test_the_schema_and_the_settings_refuse_the_same_sources(
    data_path: Any,
) -> None:
    entry = SHIPPED[1] | {"data_path": data_path}
    assert not is_valid(entry)
    with pytest.raises(ConfigError, match="data_path"):
        parse_settings(entry, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"device": "cuda:1"},
        {"device": None},
        {"revision": None},
        {"fine_tune_config": None},
        {"config_name": "a.b-c_d"},
        {"data_path": ["a", {"path": "b", "weight": 2, "columns": None}]},
        {"data_path": None},
    ],
)
def test_the_schema_and_the_settings_accept_the_same(
    change: dict[str, Any],
) -> None:
    entry = SHIPPED[1] | change
    assert is_valid(entry)
    parse_settings(entry, "here")


def test_entries_of_another_type_may_hold_anything() -> None:
    other = {"config_name": "gpt", "model_type": "dashscope_chat", "x": 1}
    assert is_valid(other)


def test_an_entry_of_a_served_model_may_not() -> None:
    served = next(one for one in SHIPPED if one["model_type"] == "openai_chat")
    assert is_valid(served)
    assert not is_valid({**served, "x": 1})
    assert not is_valid({**served, "client_args": {"timeout": 0}})


def test_every_key_has_one_row_in_its_table() -> None:
    tables = page().split("\n## ")[2:]
    for section, table in zip(sections(), tables, strict=True):
        rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert rows == list(section.rules)


def test_no_row_breaks_its_table() -> None:
    rows = [line for line in page().splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {6}


def test_no_secret_key_is_offered_by_the_schema() -> None:
    for section in schema()["$defs"].values():
        assert section["properties"].keys() & SECRET_KEYS == set()


def test_the_files_end_with_one_line_break() -> None:
    for text in files().values():
        assert text.endswith("\n") and not text.endswith("\n\n")
