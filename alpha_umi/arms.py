# -*- coding: utf-8 -*-
"""What is compared: the ways of training the roles, each as a list of stages.

`alpha-umi` is global-to-local progressive fine-tuning (GLPFT): one backbone
learns everything, then each role goes on from it with its own records. The
other arms are the paper's baselines and one it lacks. Trains nothing. Raises
ConfigError for an arm that does not exist, or has no roles.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from local_llm.errors import ConfigError

from .arm_names import ARM_NAMES, ArmName
from .roles import TEAM, Role
from .tool_agent_settings import StageSettings, ToolAgentSettings

Part = Literal["all", "first half", "second half"]
"""Which trajectories a stage learns from."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One fine-tuning run.

    Attributes:
        name (`str`):
            Of its folder; stages of one name are one run that arms share.
        roles (`tuple[Role, ...]`):
            Whose records it learns.
        hyperparameters (`Role`):
            Whose hyperparameters it has; those of the backbone are those of
            the first stage.
        starts_from (`str | None`):
            The stage whose adapter it goes on from.
        part (`Part`):
            Of the trajectories.
        epochs_of (`tuple[Role, ...]`):
            Trains as many epochs as the stages of these roles together,
            where given.
        steps_of (`tuple[Stage, ...]`):
            Trains as many optimizer steps as these stages together, where
            given.
    """

    name: str
    roles: tuple[Role, ...]
    hyperparameters: Role = Role.BACKBONE
    starts_from: str | None = None
    part: Part = "all"
    epochs_of: tuple[Role, ...] = ()
    steps_of: "tuple[Stage, ...]" = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training.

    Attributes:
        name (`ArmName`):
            On the command line and in results.
        stages (`tuple[Stage, ...]`):
            In the order of training.
        plays (`Mapping[Role, str]`):
            Which stage's adapter plays which role at last.
    """

    name: ArmName
    stages: tuple[Stage, ...]
    plays: Mapping[Role, str]

    @property
    def title(self) -> str:
        """Its name in tables."""
        return ARM_NAMES[self.name]

    @property
    def is_single(self) -> bool:
        """Whether one model says all in one text."""
        return Role.BACKBONE in self.plays


def _glpft(prefix: str, first: Part, second: Part) -> tuple[Stage, ...]:
    backbone = Stage(f"{prefix}backbone", (Role.BACKBONE,), part=first)
    return backbone, *(
        Stage(f"{prefix}{role}", (role,), role, backbone.name, second)
        for role in TEAM
    )


def _played_by(prefix: str) -> dict[Role, str]:
    return {role: f"{prefix}{role}" for role in TEAM}


_BACKBONE, *_LOCAL = _glpft("", "all", "all")

ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(
            ArmName.SINGLE,
            (_BACKBONE,),
            {Role.BACKBONE: _BACKBONE.name},
        ),
        Arm(
            ArmName.SINGLE_LONG,
            (
                Stage(
                    "backbone-equal-steps",
                    (Role.BACKBONE,),
                    steps_of=(_BACKBONE, *_LOCAL),
                ),
            ),
            {Role.BACKBONE: "backbone-equal-steps"},
        ),
        Arm(
            ArmName.ONE_STAGE,
            tuple(
                # As often as the two stages of alpha-umi show them.
                Stage(
                    f"one-stage-{role}",
                    (role,),
                    epochs_of=(Role.BACKBONE, role),
                )
                for role in TEAM
            ),
            _played_by("one-stage-"),
        ),
        Arm(
            ArmName.MULTI_TASK,
            (
                Stage(
                    "multi-task",
                    TEAM,
                    epochs_of=(Role.BACKBONE, Role.PLANNER),
                ),
            ),
            dict.fromkeys(TEAM, "multi-task"),
        ),
        Arm(
            ArmName.WITHOUT_REUSE,
            _glpft("no-reuse-", "first half", "second half"),
            _played_by("no-reuse-"),
        ),
        Arm(
            ArmName.WITH_REUSE,
            (_BACKBONE, *_LOCAL),
            _played_by(""),
        ),
    )
}
"""By name, in the order of the paper's tables. The paper does not say how
long its one-stage and multi-task models train; here they see each record as
often as GLPFT does."""


def find_arm(name: str) -> Arm:
    """The arm of a name.

    Raises:
        `ConfigError`: There is none.
    """
    if name in ARMS:
        return ARMS[name]
    near = difflib.get_close_matches(name, ARMS, n=1)
    hint = f", did you mean '{near[0]}'?" if near else ""
    raise ConfigError(
        "the arm",
        [f"there is no arm {name!r}{hint}"],
        fix=f"use one of {', '.join(ARMS)}",
    )


def check_has_roles(arm: Arm) -> None:
    """See that an arm can do whole tasks, in which roles take turns.

    Raises:
        `ConfigError`: One model says all in it.
    """
    if arm.is_single:
        raise ConfigError(
            f"the arm {arm.name}",
            ["one model says all in it, so there are no roles to take turns"],
            fix=f"use another one, such as {ArmName.WITH_REUSE}",
        )


def stages_of(arms: Sequence[Arm]) -> list[Stage]:
    """The stages of several arms, each once, those to start from first."""
    by_name = {stage.name: stage for arm in arms for stage in arm.stages}
    return list(by_name.values())


def hyperparameters_of(
    stage: Stage,
    settings: ToolAgentSettings,
) -> StageSettings:
    """Those of the stage, from the settings of the roles."""
    return getattr(settings, stage.hyperparameters.value)


def epochs_of(stage: Stage, settings: ToolAgentSettings) -> float:
    """How often a stage sees its records."""
    if not stage.epochs_of:
        return hyperparameters_of(stage, settings).num_train_epochs
    return sum(
        getattr(settings, role.value).num_train_epochs
        for role in stage.epochs_of
    )
