# -*- coding: utf-8 -*-
"""The committed schema and page say what the settings of all entries say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from alpha_umi.config_reference import (
    COMMAND,
    FOLDER,
    entry_types,
    files,
    main,
)
from alpha_umi.tool_agent_settings import (
    PAPER_STAGES,
    parse_tool_agent_settings,
)
from local_llm.errors import ConfigError
from local_llm.library_fields import LIBRARIES
from local_llm.settings_names import PROGRAMS, SECRET_KEYS
from local_llm.settings_reference import page, schema, versions

jsonschema = pytest.importorskip("jsonschema")
SHIPPED = json.loads((FOLDER / "model_configs.json").read_text("utf-8"))
SCHEMA = schema(entry_types())
CHECKER = jsonschema.Draft202012Validator(SCHEMA)
PAGE = page(entry_types(), COMMAND)


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
    found, wanted = parts_of(committed("README.md")), parts_of(PAGE)
    assert list(found) == list(wanted)
    for heading, text in wanted.items():
        if not of_a_library(heading):
            assert found[heading] == text


def test_the_committed_schema_says_what_would_be_written() -> None:
    found = json.loads(committed("model_configs.schema.json"))
    wanted = schema(entry_types())
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
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    CHECKER.validate(SHIPPED)


def test_every_key_has_one_row_in_its_table() -> None:
    tables = PAGE.split("\n## ")[2:]
    parts = [part for one in entry_types() for part in one.parts]
    for part, table in zip(parts, tables, strict=True):
        rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        wanted = part.section.rules if part.tabled is None else part.tabled
        assert rows == list(wanted)


def test_no_row_breaks_its_table() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {6}


def test_no_secret_key_is_offered_by_the_schema() -> None:
    for section in SCHEMA["$defs"].values():
        assert section["properties"].keys() & SECRET_KEYS == set()


def test_the_files_end_with_one_line_break() -> None:
    for text in files().values():
        assert text.endswith("\n") and not text.endswith("\n\n")


def test_every_type_of_entry_has_its_program() -> None:
    assert [one.model_type for one in entry_types()] == list(PROGRAMS)


def test_the_page_has_the_values_of_the_paper() -> None:
    (row,) = re.findall(r"^\| `warmup_ratio` .*", PAGE, re.MULTILINE)
    for name, stage in PAPER_STAGES.items():
        assert f"{name} `{stage.warmup_ratio}`" in row


TOOLS = next(one for one in SHIPPED if one["model_type"] == "alpha_umi")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("x", 1),
        ("search", "bfs"),
        ("max_steps", 0),
        ("data_path", ["a"]),
        ("planner.learning_rate", 0),
        ("planner.warmup_steps", 5),
        ("backbone", None),
        ("model.data_path", "a"),
        ("model.system_prompt", "a"),
        ("model.max_length", 0),
        ("model.fine_tune_config.lora_config", None),
        ("model.fine_tune_config.columns", {}),
        ("model.fine_tune_config.max_seq_length", 1),
        ("model.fine_tune_config.training_args.learning_rate", 1e-3),
        ("model.fine_tune_config.training_args.output_dir", "runs"),
        ("model.fine_tune_config.training_args.max_steps", 0),
        ("model.generation.top_p", 0),
    ],
)
def test_the_schema_and_the_settings_refuse_the_same_tool_agents(
    path: str,
    value: Any,
) -> None:
    entry = changed(path, value)
    assert not CHECKER.is_valid([entry])
    with pytest.raises(ConfigError, match=path.rpartition(".")[2]):
        parse_tool_agent_settings(entry, "here")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("planner", {}),
        ("model.fine_tune_config", None),
        ("model.fine_tune_config.lora_config", {}),
        ("model.fine_tune_config.training_args", {"max_steps": 3}),
        ("system_prompt", None),
        ("data_reader", "star"),
    ],
)
def test_the_schema_and_the_settings_accept_the_same_tool_agents(
    path: str,
    value: Any,
) -> None:
    entry = changed(path, value)
    assert CHECKER.is_valid([entry])
    parse_tool_agent_settings(entry, "here")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The shipped entry of a tool agent with one value changed."""
    entry = json.loads(json.dumps(TOOLS))
    *parents, key = path.split(".")
    place = entry
    for parent in parents:
        place = place[parent]
    place[key] = value
    return entry
