# -*- coding: utf-8 -*-
"""Stages learn their records, start where they should, and run once."""

import dataclasses
import json
from pathlib import Path

import pytest
from tiny_teams import TRAJECTORIES, surroundings_of, team_settings
from transformers import AutoModelForCausalLM

from alpha_umi.arms import ARMS, Stage, find_arm
from alpha_umi.glpft import GLPFT, StageRun
from alpha_umi.records import records_of
from alpha_umi.roles import TEAM, Role
from alpha_umi.trained_team import (
    TeamRecord,
    team_file,
    write_team,
)
from local_llm.adapter_files import read_tensors
from local_llm.errors import CheckpointError, DatasetError
from local_llm.surroundings import Listener


@pytest.fixture(name="job")
def fixture_job(project: Path) -> GLPFT:
    return job_in(project)


def job_in(project: Path, seed: int = 1) -> GLPFT:
    return GLPFT(
        settings=dataclasses.replace(
            team_settings(),
            output_dir=project / "team",
        ),
        surroundings=surroundings_of(project),
        trajectories=TRAJECTORIES,
        output=project / "team",
        seed=seed,
    )


def stage(arm: str, name: str) -> Stage:
    return next(one for one in ARMS[arm].stages if one.name == name)


@pytest.mark.parametrize(
    ("arm", "name", "count"),
    [
        ("alpha-umi", "backbone", 12),  # 6 tasks, a call and an answer each
        ("alpha-umi", "planner", 12),
        ("alpha-umi", "caller", 6),
        ("alpha-umi", "summarizer", 6),
        ("multi-task", "multi-task", 24),
        ("alpha-umi-no-reuse", "no-reuse-backbone", 6),
        ("alpha-umi-no-reuse", "no-reuse-planner", 6),
    ],
)
def test_a_stage_learns_the_records_of_its_roles(
    job: GLPFT,
    arm: str,
    name: str,
    count: int,
) -> None:
    assert len(job.records(stage(arm, name))) == count


def test_without_reuse_the_stages_see_different_tasks(job: GLPFT) -> None:
    first, second = (
        {
            record.trajectory.name
            for record in job.records(stage("alpha-umi-no-reuse", name))
        }
        for name in ("no-reuse-backbone", "no-reuse-planner")
    )
    assert first.isdisjoint(second)
    assert first | second == {one.name for one in TRAJECTORIES}


@pytest.mark.parametrize(
    ("arm", "name", "steps"),
    [
        ("alpha-umi", "backbone", 6),  # 12 rows, 4 at once, 2 epochs
        ("alpha-umi", "planner", 3),
        ("alpha-umi", "caller", 2),
        ("alpha-umi", "summarizer", 4),
        ("one-stage", "one-stage-planner", 9),  # 2 and 1 epochs
        ("one-stage", "one-stage-summarizer", 8),
        ("multi-task", "multi-task", 18),
        ("single-equal-steps", "backbone-equal-steps", 6 + 3 + 2 + 4),
    ],
)
def test_the_steps_of_a_stage_are_those_of_its_epochs(
    job: GLPFT,
    arm: str,
    name: str,
    steps: int,
) -> None:
    assert job.optimizer_steps(stage(arm, name)) == steps


def test_rows_are_prompt_and_target_alone(job: GLPFT) -> None:
    path = job.write_rows(stage("alpha-umi", "caller"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    first = records_of(TRAJECTORIES[0], Role.CALLER, "brief")[0]
    assert rows[0] == {"prompt": first.input, "completion": first.target}


def test_rows_that_are_held_out_or_too_long_take_no_steps(
    job: GLPFT,
) -> None:
    chosen = dataclasses.replace(
        job.settings.model.fine_tune_config,
        held_out_rows=3,
        max_seq_length=180,  # half of the 12 prompts are longer
    )
    model = dataclasses.replace(job.settings.model, fine_tune_config=chosen)
    settings = dataclasses.replace(job.settings, model=model)
    job = dataclasses.replace(job, settings=settings)
    foretold = job.optimizer_steps(stage("alpha-umi", "backbone"))
    reports = job.train([find_arm("single")])
    assert reports["backbone"].steps == foretold == 2


def test_a_role_goes_on_from_the_backbone_and_changes_a_copy(
    trained_team: GLPFT,
) -> None:
    folders = [trained_team.output / name for name in ("backbone", *TEAM)]
    backbone, *roles = (read_tensors(folder) for folder in folders)
    for role in roles:
        assert role.keys() == backbone.keys()
        distance = sum((role[k] - backbone[k]).norm() for k in role)
        size = sum(one.norm() for one in backbone.values())
        assert 0 < distance < size / 2


def listening(job: GLPFT) -> tuple[GLPFT, list[StageRun]]:
    """The same training, and the stages that it finishes."""
    told: list[StageRun] = []
    return dataclasses.replace(job, on_stage=told.append), told


def test_a_second_training_uses_the_finished_stages(job: GLPFT) -> None:
    first, told = listening(job)
    reports = first.train([find_arm("alpha-umi")])
    assert first.train([find_arm("alpha-umi")]) == reports
    names = ["backbone", "planner", "caller", "summarizer"]
    assert [(one.stage.name, one.is_new) for one in told] == [
        *((name, True) for name in names),
        *((name, False) for name in names),
    ]
    assert told[-1].summary.endswith(" s, was there already")
    assert told[0].summary.startswith("backbone: 6 steps, ")


def test_overwriting_trains_anew_and_keeps_what_was_there(job: GLPFT) -> None:
    job.train([find_arm("single")])
    again, told = listening(dataclasses.replace(job, overwrite=True))
    again.train([find_arm("single")])
    assert [one.is_new for one in told] == [True]
    kept = job.output / "backbone.previous-1"
    assert (
        read_tensors(kept).keys()
        == read_tensors(job.output / "backbone").keys()
    )


def test_a_training_that_is_interrupted_leaves_no_team_of_old_adapters(
    job: GLPFT,
) -> None:
    arm = find_arm("single")
    job.train([arm])
    write_team(job.output, TeamRecord(arm, "brief"))

    def interrupted(run: StageRun) -> None:
        raise KeyboardInterrupt

    other = dataclasses.replace(job, seed=2, on_stage=interrupted)
    with pytest.raises(KeyboardInterrupt):
        other.train([arm])
    assert not team_file(job.output, "single").exists()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_loaded(
    job: GLPFT,
) -> None:
    (job.output.parent / "a file").write_text("in the way")
    told: list[str] = []
    blocked = dataclasses.replace(
        job,
        output=job.output.parent / "a file" / "team",
        surroundings=dataclasses.replace(
            job.surroundings,
            listener=Listener(on_status=told.append),
        ),
    )
    with pytest.raises(CheckpointError, match="a file"):
        blocked.train([find_arm("single")])
    assert told == []


def test_another_seed_gives_another_adapter(project: Path) -> None:
    adapters = []
    for seed in (1, 2):
        job = dataclasses.replace(
            job_in(project, seed),
            output=project / f"seed {seed}",
        )
        job.train([find_arm("single")])
        adapters.append(read_tensors(job.output / "backbone"))
    one, other = adapters
    assert any((one[key] != other[key]).any() for key in one)


def test_no_adapter_stays_on_the_base_model(job: GLPFT) -> None:
    from local_llm.local_model import LocalModel

    settings = job.stage_settings(stage("alpha-umi", "backbone"))
    keeper = LocalModel(settings, job.surroundings)
    keeper.load_model()
    job.train([find_arm("alpha-umi")])
    peft = keeper.base.peft_model
    assert peft is not None and list(peft.peft_config) == []


def test_the_weights_are_read_once_for_all_stages(
    job: GLPFT,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[object] = []
    from_pretrained = AutoModelForCausalLM.from_pretrained

    def noted(*arguments: object, **named: object) -> object:
        read.append(arguments)
        return from_pretrained(*arguments, **named)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", noted)
    job.train([find_arm("one-stage")])
    assert len(read) == 1


def test_trajectories_without_a_role_are_refused_by_its_name(
    job: GLPFT,
) -> None:
    silent = [
        dataclasses.replace(one, utterances=one.utterances[:4])
        for one in TRAJECTORIES
    ]
    told: list[Stage] = []
    job = dataclasses.replace(job, trajectories=silent, on_stage=told.append)
    with pytest.raises(DatasetError) as raised:
        job.train([find_arm("alpha-umi")])
    assert raised.value.message == (
        "in 6 trajectories stage summarizer finds nothing to learn"
    )
    assert told == []  # before hours of training, not after them
