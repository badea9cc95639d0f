# -*- coding: utf-8 -*-
"""What is typed for the tool agent's program becomes what is meant."""

import shlex
import sys
from pathlib import Path

import pytest
from tiny_tools import tools_entry

from alpha_umi.arms import ARMS
from alpha_umi.comparison_requests import Source
from command_line import MODEL_CONFIGS, PROJECT
from local_llm.errors import ConfigError
from tool_command_line import (
    ARM,
    CPU_CONFIG,
    SEEDS,
    choose_settings,
    data_request,
    parse_arguments,
    resume_command,
)

SGD = ("--schema-guided", "sgd")


def test_a_verb_is_needed() -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments([])
    assert ended.value.code == 2


@pytest.mark.parametrize("verb", ["chat", "train", "evaluate", "compare"])
def test_without_flags_the_embedded_model_is_meant(verb: str) -> None:
    needed = SGD if verb == "compare" else ()
    arguments = parse_arguments([verb, *needed])
    assert arguments.verb == verb
    assert arguments.config_name == CPU_CONFIG
    assert arguments.model_configs == MODEL_CONFIGS
    assert arguments.output is None and not arguments.debug
    if verb == "compare":
        assert (arguments.arms, arguments.seeds) == (None, list(SEEDS))
    else:
        assert arguments.arm == ARM and ARM in ARMS


def test_packing_needs_a_place() -> None:
    arguments = parse_arguments(["pack", "--to", "there"])
    assert arguments.to == Path("there") and arguments.arm == ARM
    with pytest.raises(SystemExit):
        parse_arguments(["pack"])


def test_the_config_without_flags_is_one_of_the_file() -> None:
    settings = choose_settings(parse_arguments(["chat"]))
    assert settings.config_name == CPU_CONFIG
    assert settings.demonstration_questions


def test_chat_trains_on_what_the_config_says() -> None:
    arguments = parse_arguments(["chat"])
    given = (arguments.data, arguments.reader, arguments.limit, arguments.seed)
    assert given == (None, None, None, None)
    with pytest.raises(SystemExit):
        parse_arguments(["chat", "--data", "mine.json"])


def test_questions_are_asked_in_the_order_in_which_they_are_typed() -> None:
    flags = ["--question", "b", "--question", "a", "--no-chat"]
    arguments = parse_arguments(["chat", *flags])
    assert arguments.question == ["b", "a"] and arguments.no_chat


@pytest.mark.parametrize(
    ("verb", "flags", "words"),
    [
        ("train", ["--limit", "0"], "want a number from 1"),
        ("train", ["--limit", "few"], "want a number from 1"),
        ("train", ["--seed", "-1"], "want a number from 0 to 4294967295"),
        ("train", ["--seed", "4294967296"], "want a number from 0"),
        ("train", ["--reader", "csv"], "invalid choice: 'csv'"),
        ("compare", [*SGD, "--seeds", "1", "x"], "want a number from 0"),
        ("compare", [], "--schema-guided"),
        ("chat", ["--no"], "unrecognized arguments: --no"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_2(
    verb: str,
    flags: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments([verb, *flags])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_what_is_typed_goes_on_but_does_not_begin_anew_twice() -> None:
    flags = ["--data", "my data.json", "--overwrite", "--seed", "3"]
    command = resume_command(parse_arguments(["train", *flags]))
    assert shlex.split(command) == [
        sys.executable,
        str(PROJECT / "small_llms.py"),
        *("train", "--data", "my data.json", "--seed", "3"),
    ]


def test_without_a_list_the_command_line_of_the_process_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["small_llms.py", "train", "--seed", "9"])
    arguments = parse_arguments(None)
    assert arguments.seed == 9
    assert arguments.argv == ["train", "--seed", "9"]


def test_a_comparison_asks_for_the_data_that_is_typed() -> None:
    flags = ["--train", "40", "--test", "30", "--longest", "900"]
    also = ["--learn-also", "toolbench:learned.json", "star:C:/my star"]
    files = ["--toolbench", "asked.json", *also]
    arguments = parse_arguments(["compare", *SGD, *flags, *files])
    request = data_request(arguments, "paper")
    assert request.schema_guided == Path("sgd")
    assert request.toolbench == Path("asked.json")
    assert request.learned_also == (
        Source("toolbench", Path("learned.json")),
        Source("star", Path("C:/my star")),
    )
    assert (request.train, request.test, request.longest) == (40, 30, 900)
    assert request.style == "paper"


@pytest.mark.parametrize("typed", ["data.json", "nobody:data.json", "star:"])
def test_what_no_reader_reads_is_refused_with_the_readers(
    typed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["compare", *SGD, "--learn-also", typed])
    told = capsys.readouterr().err
    assert repr(typed) in told and "toolalpaca" in told


def test_an_entry_of_the_other_program_is_refused_by_name() -> None:
    arguments = parse_arguments(["chat", "--config-name", "embedded"])
    with pytest.raises(ConfigError) as raised:
        choose_settings(arguments)
    assert "conversation_with_agent_with_finetuned_model.py runs it" in str(
        raised.value,
    )


def test_a_fault_of_the_entry_is_told_with_its_key(tmp_path: Path) -> None:
    import json

    configs = tmp_path / "configs.json"
    configs.write_text(json.dumps([tools_entry(search="wide")]))
    flags = ["--model-configs", str(configs), "--config-name", "tiny-team"]
    with pytest.raises(ConfigError, match="search: "):
        choose_settings(parse_arguments(["chat", *flags]))
