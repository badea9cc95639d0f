# -*- coding: utf-8 -*-
"""Every arm is trained once a seed and asked once, whatever comes between."""

import dataclasses
import itertools
import json
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_teams import (
    TRAJECTORIES,
    surroundings_of,
    team_settings,
    trajectory,
)

from alpha_umi.arms import ARMS, find_arm, stages_of
from alpha_umi.comparison import AskedPart, Comparison
from alpha_umi.floors import FLOORS
from alpha_umi.glpft import GLPFT
from alpha_umi.metrics import Metric
from alpha_umi.results import Figures, Results
from local_llm.errors import (
    CheckpointError,
    GenerationError,
    TrainingInterrupted,
)
from local_llm.model_step import ModelStep
from local_llm.reports import read_report
from local_llm.surroundings import Listener
from local_llm.training_progress import Step

SEEN = AskedPart.of("seen", True, [trajectory(7, 8), trajectory(6, 9)])
UNSEEN = AskedPart.of("unseen", False, [trajectory(9, 9)])
ALL = list(ARMS)
TWO = ["single", "alpha-umi"]


@dataclass(frozen=True)
class Told:
    """A comparison, what it says that it does, and the steps it trains."""

    comparison: Comparison
    lines: list[str]
    steps: list[Step]

    @property
    def trainings(self) -> int:
        """How many stages were trained from their first step on."""
        return sum(step.number == 1 for step in self.steps)

    def asked(self) -> list[str]:
        """The arms and parts that were asked."""
        return [
            found[1]
            for line in self.lines
            if (found := re.fullmatch(r"seed \d+: asking (.*)", line))
        ]


def told(
    project: Path,
    output: Path,
    arms: Sequence[str] = TWO,
    **changes: object,
) -> Told:
    lines: list[str] = []
    steps: list[Step] = []
    surroundings = dataclasses.replace(
        surroundings_of(project),
        listener=Listener(on_step=steps.append),
    )
    comparison = Comparison(
        team_settings(),
        surroundings,
        [find_arm(name) for name in arms],
        TRAJECTORIES,
        [SEEN, UNSEEN],
        output,
        lines.append,
    )
    changed = dataclasses.replace(comparison, **changes)
    return Told(changed, lines, steps)


@dataclass(frozen=True)
class Whole:
    """A comparison of all arms that has run."""

    project: Path
    output: Path
    told: Told
    results: Results


@pytest.fixture(name="whole", scope="module")
def fixture_whole(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Whole:
    project = tmp_path_factory.mktemp("comparison")
    shutil.copytree(tiny_folder, project / "model")
    run = told(project, project / "whole", ALL)
    results = run.comparison.run([1], {"command": "compare"})
    return Whole(project, project / "whole", run, results)


@pytest.fixture(name="copied")
def fixture_copied(whole: Whole, tmp_path: Path) -> Path:
    """What the whole comparison has left, to be changed."""
    return shutil.copytree(whole.output, tmp_path / "copied")


@pytest.fixture(name="silent_models")
def fixture_silent_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of this process can reply."""

    def scores(*arguments: object, **named: object) -> None:
        raise AssertionError("a model was asked")

    monkeypatch.setattr(ModelStep, "scores", scores)


def answer_file(output: Path, arm: str, part: str, seed: int = 1) -> Path:
    return output / f"seed-{seed}" / "answers" / f"{arm}, {part}.json"


def written(values: Results | Figures) -> str:
    """What can be compared: nan is not equal to itself."""
    return repr(values)


def texts_in(path: Path) -> list[dict[str, str]]:
    return [row["texts"] for row in json.loads(path.read_text())["steps"]]


# -- one run -------------------------------------------------------------------


def test_each_stage_is_trained_once_however_many_arms_have_it(
    whole: Whole,
) -> None:
    names = {stage.name for stage in stages_of(list(ARMS.values()))}
    assert whole.told.trainings == len(names) == 13
    finished = (whole.output / "seed-1").glob("*/adapter_model.safetensors")
    assert {path.parent.name for path in finished} == names


def test_each_arm_is_asked_once_for_each_part(whole: Whole) -> None:
    assert whole.told.asked() == [
        f"{ARMS[arm].title}, {part}"
        for arm, part in itertools.product(ALL, ("seen", "unseen"))
    ]


def test_results_have_every_arm_floor_part_and_seed_with_their_counts(
    whole: Whole,
) -> None:
    seen, unseen = whole.results.parts
    for part in (seen, unseen):
        assert list(part.arms) == ALL
        assert list(part.floors) == list(FLOORS)
        assert part.seeds == dict.fromkeys(ALL, (1,))
        assert len(part.differences) == 15  # of six arms, two at a time
    assert (seen.name, seen.is_in_domain) == ("seen", True)
    assert (unseen.name, unseen.is_in_domain) == ("unseen", False)
    assert seen.counts == {
        "trajectories": 2,
        "steps": 4,
        "caller": 2,
        "conclusion": 2,
        "give up": 0,
    }
    assert unseen.counts["steps"] == 2
    assert seen.floors["always call"]["plan_em"].value == 0.5
    assert seen.floors["first tool"]["action_em"].value == 1.0


def test_a_figure_is_the_mean_over_the_steps_that_are_kept(
    whole: Whole,
) -> None:
    for part, arm in itertools.product(whole.results.parts, ALL):
        path = answer_file(whole.output, arm, part.name)
        rows = json.loads(path.read_text())["steps"]
        assert len(rows) == part.counts["steps"]
        for metric in (Metric.PLAN, Metric.ACTION, Metric.HALLUCINATION):
            values = [row["scores"][metric] for row in rows]
            known = [one for one in values if one is not None]
            mean = sum(known) / len(known)
            assert part.arms[arm][metric].value == pytest.approx(mean)


def test_all_arms_learn_the_same_trajectories(whole: Whole) -> None:
    """Without reuse each stage has its half of them."""
    everything = {f"{one.instruction}" for one in TRAJECTORIES}
    for arm in ARMS.values():
        learned = [
            questions_of(whole.output / "seed-1" / "rows", stage.name)
            for stage in arm.stages
        ]
        assert set.union(*learned) == everything
        if arm.name == "alpha-umi-no-reuse":
            first, *others = learned
            assert all(first.isdisjoint(one) for one in others)
        else:
            assert all(one == everything for one in learned)


def questions_of(folder: Path, stage: str) -> set[str]:
    text = (folder / f"{stage}.jsonl").read_text()
    return set(re.findall(r"user: (\d\+\d\?)", text))


def test_the_arm_of_equal_steps_has_as_many_as_alpha_umi(
    whole: Whole,
) -> None:
    steps = {
        arm.title: whole.results.about[f"training of {arm.title}"].split()[0]
        for arm in ARMS.values()
    }
    assert steps["Single-LLM, as many steps"] == "15"
    assert steps["alpha-UMi w/ reuse"] == "15"  # 6 + 3 + 2 + 4
    assert steps["Single-LLM"] == "6"
    assert whole.results.about["command"] == "compare"


def test_every_stage_takes_the_steps_that_are_foretold(whole: Whole) -> None:
    job = GLPFT(
        whole.told.comparison.settings,
        surroundings_of(whole.project),
        TRAJECTORIES,
        whole.output / "seed-1",
        seed=1,
    )
    stages = stages_of(list(ARMS.values()))
    taken = [read_report(job.output / one.name).steps for one in stages]
    assert taken == [job.optimizer_steps(one) for one in stages]


# -- again ---------------------------------------------------------------------


@pytest.mark.usefixtures("silent_models")
def test_a_second_run_asks_no_model_and_has_the_same_results(
    whole: Whole,
) -> None:
    again = told(whole.project, whole.output, ALL)
    before = state_of(whole.output)
    results = again.comparison.run([1], {"command": "compare"})
    assert written(results) == written(whole.results)
    assert (again.asked(), again.steps) == ([], [])
    assert state_of(whole.output) == before


def state_of(output: Path) -> dict[Path, int]:
    """When answers and adapters were written."""
    files = [*output.rglob("answers/*"), *output.rglob("*.safetensors")]
    assert len(files) == 12 + 13
    return {path: path.stat().st_mtime_ns for path in files}


LONGER = dataclasses.replace(team_settings().model, max_length=9)
OTHER_STEPS = AskedPart.of("seen", True, [trajectory(7, 8), trajectory(5, 5)])


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"parts": [UNSEEN, OTHER_STEPS]}, "Single-LLM, seen"),
        (
            {"settings": dataclasses.replace(team_settings(), model=LONGER)},
            "Single-LLM, seen",
        ),
        ({"parts": [UNSEEN, SEEN]}, None),
    ],
    ids=["other steps", "longer replies", "the same"],
)
@pytest.mark.usefixtures("silent_models")
def test_what_is_asked_otherwise_is_asked_again_and_nothing_else(
    whole: Whole,
    copied: Path,
    changes: dict[str, object],
    asked: str | None,
) -> None:
    run = told(whole.project, copied, **changes)
    if asked is None:
        run.comparison.run([1], {})
    else:
        with pytest.raises(GenerationError, match="a model was asked"):
            run.comparison.run([1], {})
    assert run.asked() == [asked] * (asked is not None)
    assert run.steps == []


def test_with_another_adapter_its_arm_is_asked_and_no_other(
    whole: Whole,
    copied: Path,
) -> None:
    faster = {"num_train_epochs": 1, "learning_rate": 3e-2}
    settings = team_settings(summarizer=faster)
    run = told(whole.project, copied, settings=settings)
    results = run.comparison.run([1], {})
    assert run.trainings == 1
    assert run.asked() == [
        "alpha-UMi w/ reuse, seen",
        "alpha-UMi w/ reuse, unseen",
    ]
    for new, old in zip(results.parts, whole.results.parts, strict=True):
        assert written(new.arms["single"]) == written(old.arms["single"])


def test_in_another_style_everything_is_asked_again(
    whole: Whole,
    copied: Path,
) -> None:
    settings = team_settings(prompt_style="paper")
    run = told(whole.project, copied, ["multi-task"], settings=settings)
    run.comparison.run([1], {})
    assert run.trainings == 1
    assert run.asked() == [
        "Single-LLM multi-task, seen",
        "Single-LLM multi-task, unseen",
    ]


def test_a_second_seed_is_trained_and_asked_beside_the_first(
    whole: Whole,
    copied: Path,
) -> None:
    run = told(whole.project, copied, ["single"])
    results = run.comparison.run([1, 2], {})
    assert run.trainings == 1
    assert [line for line in run.lines if "training" not in line][-4:] == [
        "seed 2: asking Single-LLM, seen",
        "4 of 4 replies of the backbone",
        "seed 2: asking Single-LLM, unseen",
        "2 of 2 replies of the backbone",
    ]
    for new, old in zip(results.parts, whole.results.parts, strict=True):
        assert new.seeds == {"single": (1, 2)}
        figure = new.arms["single"]["plan_em"]
        assert len(figure.by_seed) == 2
        assert figure.by_seed[:1] == old.arms["single"]["plan_em"].by_seed


# -- interruptions -------------------------------------------------------------


class PowerCut(BaseException):
    """The end of a process."""


def test_what_was_asked_before_an_interruption_is_not_asked_again(
    whole: Whole,
    copied: Path,
) -> None:
    shutil.rmtree(copied / "seed-1" / "answers")

    def cut(line: str) -> None:
        if "asking alpha-UMi w/ reuse, unseen" in line:
            raise PowerCut

    run = told(whole.project, copied, on_status=cut)
    with pytest.raises(PowerCut):
        run.comparison.run([1], {})
    again = told(whole.project, copied)
    results = again.comparison.run([1], {})
    assert again.asked() == ["alpha-UMi w/ reuse, unseen"]
    for new, old in zip(results.parts, whole.results.parts, strict=True):
        for arm in TWO:
            assert written(new.arms[arm]) == written(old.arms[arm])


def test_a_stage_that_was_interrupted_goes_on_and_gives_the_same(
    whole: Whole,
    tmp_path: Path,
) -> None:
    run = told(whole.project, tmp_path, ["alpha-umi"])

    def signal_in_the_second_stage(done: Step) -> None:
        run.steps.append(done)
        if run.trainings == 2:
            signal.raise_signal(signal.SIGTERM)

    surroundings = dataclasses.replace(
        run.comparison.surroundings,
        listener=Listener(on_step=signal_in_the_second_stage),
    )
    comparison = dataclasses.replace(
        run.comparison,
        surroundings=surroundings,
    )
    with pytest.raises(TrainingInterrupted):
        comparison.run([1], {})
    again = told(whole.project, tmp_path, ["alpha-umi"])
    again.comparison.run([1], {})
    assert again.trainings == 2  # caller and summarizer
    report = read_report(tmp_path / "seed-1" / "planner")
    assert (list(report.resumed_at), report.steps) == ([2], 3)
    for part in ("seen", "unseen"):
        new, old = (
            texts_in(answer_file(output, "alpha-umi", part))
            for output in (tmp_path, whole.output)
        )
        assert new == old


# -- what is wrong -------------------------------------------------------------


def test_damaged_answers_are_refused_by_name(
    whole: Whole,
    copied: Path,
) -> None:
    path = answer_file(copied, "single", "unseen")
    path.write_text(path.read_text()[:-9])
    run = told(whole.project, copied, ["single"])
    with pytest.raises(CheckpointError) as raised:
        run.comparison.run([1], {})
    assert str(path) in raised.value.message
    assert raised.value.fix == "delete it: they are asked for again"


@pytest.fixture(autouse=True)
def no_adapter_is_left(whole: Whole) -> Iterator[None]:
    """Whoever was asked has left the base model as it was."""
    yield
    from alpha_umi.trained_team import TrainedTeam

    team = TrainedTeam.load(
        whole.output / "seed-1",
        "single",
        whole.told.comparison.settings.model,
        whole.told.comparison.surroundings,
    )
    (model,) = team.models.values()
    assert model.base.peft_model is not None
    assert list(model.base.peft_model.peft_config) == [model.adapter]
    team.unload()
