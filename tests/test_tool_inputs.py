# -*- coding: utf-8 -*-
"""What is typed goes before the config, and paths begin where they should."""

import json
import sys
from pathlib import Path

import pytest
from tiny_teams import TRAJECTORIES
from tiny_tools import tools_entry, typed, write_trajectories

from alpha_umi.arms import ARMS
from alpha_umi.trained_team import TeamRecord, write_team
from local_llm import atomic_files
from local_llm.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    GenerationError,
)
from local_llm.library_defaults import DEFAULT_SEED
from local_llm.surroundings import Listener
from tool_command_line import choose_settings, parse_arguments
from tool_inputs import Inputs, check_alone


@pytest.fixture(name="configs")
def fixture_configs(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    write_trajectories(project / "trajectories.json", TRAJECTORIES)
    return write_config(project / "configs.json")


def write_config(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps([tools_entry(**changes)]))
    return path


def inputs(configs: Path, *more: str, verb: str = "train") -> Inputs:
    arguments = parse_arguments(typed(configs, verb, *more))
    return Inputs(choose_settings(arguments), arguments)


def test_the_paths_of_the_config_begin_at_its_project(configs: Path) -> None:
    found = inputs(configs)
    assert found.output == configs.parent / "team"
    assert len(found.trajectories()) == len(TRAJECTORIES)


def test_the_paths_that_are_typed_begin_where_the_program_is_started(
    configs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_trajectories(tmp_path / "two.json", TRAJECTORIES[:2])
    found = inputs(configs, "--output", "mine", "--data", "two.json")
    assert found.output == tmp_path / "mine"
    assert len(found.trajectories()) == 2


def test_a_limit_takes_the_first_ones(configs: Path) -> None:
    found = inputs(configs, "--limit", "3").trajectories()
    assert [one.instruction for one in found] == [
        one.instruction for one in TRAJECTORIES[:3]
    ]


def test_the_data_is_read_as_is_typed(configs: Path) -> None:
    with pytest.raises(DatasetError, match="of GSM8K|train.jsonl"):
        inputs(configs, "--reader", "gsm8k").trajectories()


def test_trained_adapters_go_before_ready_ones_and_a_typed_place_alone(
    configs: Path,
) -> None:
    assert inputs(configs).trained_folder() is None
    place = configs.parent
    write_config(configs, ready_adapters="ready")
    ready, trained = (pretend_trained(place / one) for one in ("ready", "own"))
    assert inputs(configs).trained_folder() == ready
    typed_place = ("--output", str(place / "elsewhere"))
    assert inputs(configs, *typed_place).trained_folder() is None
    trained.rename(place / "team")
    assert inputs(configs).trained_folder() == place / "team"


def pretend_trained(folder: Path) -> Path:
    for role in ("planner", "caller", "summarizer"):
        with atomic_files.sealed_folder(folder / role) as place:
            (place / "a file").write_text("")
    write_team(folder, TeamRecord(ARMS["alpha-umi"], "brief"))
    return folder


def test_the_seed_is_the_typed_one_else_the_configs(configs: Path) -> None:
    assert inputs(configs).seed == DEFAULT_SEED
    entry = tools_entry()
    chosen = entry["model"]["fine_tune_config"]
    chosen["training_args"]["seed"] = 5
    configs.write_text(json.dumps([entry]))
    assert inputs(configs).seed == 5
    assert inputs(configs, "--seed", "0").seed == 0


def test_an_arm_that_is_not_there_is_refused_with_the_nearest(
    configs: Path,
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'alpha-umi'"):
        _ = inputs(configs, "--arm", "alpha-uni").arm


def test_results_say_how_they_are_made(configs: Path) -> None:
    found = inputs(configs, "--limit", "2", verb="evaluate")
    data = found.described(found.trajectories())
    about = found.about(data)
    assert about["command"] == (
        f"python small_llms.py evaluate --model-configs {configs} "
        "--config-name tiny-team --limit 2"
    )
    assert about["data"] == "2 trajectories of trajectories.json"
    assert about["base"] == "model"
    assert about["decoding"] == "greedy, up to 8 tokens"


def test_a_report_goes_where_it_is_typed_to(configs: Path) -> None:
    place = configs.parent
    default = place / "team" / "evaluation"
    found = inputs(configs, verb="evaluate")
    assert found.report_folder(default) == default
    flags = ("--report", str(place / "mine"))
    found = inputs(configs, *flags, verb="evaluate")
    assert found.report_folder(default) == place / "mine"


def test_a_report_that_cannot_be_written_is_told_before_anybody_is_asked(
    configs: Path,
) -> None:
    found = inputs(configs, "--report", str(configs), verb="evaluate")
    with pytest.raises(CheckpointError, match="cannot write in .*configs"):
        found.report_folder(configs.parent)


def test_surroundings_begin_at_the_project_and_tell_the_listener(
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCAL_LLM_CACHE", "/the/cache")
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    listener = Listener()
    found = inputs(configs).surroundings(listener)
    assert found.folder == configs.parent
    assert found.cache == Path("/the/cache")
    assert found.token == "hf_of_mine" and "hf_of_mine" not in repr(found)
    assert found.listener is listener


def test_without_the_library_calls_cannot_be_held(
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(GenerationError) as raised:
        inputs(configs).check_grammars()
    assert raised.value.fix == "pip install llguidance"
    write_config(configs, constrained_calls=False)
    inputs(configs).check_grammars()


def test_several_processes_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_alone()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="2 processes were started"):
        check_alone()
