# -*- coding: utf-8 -*-
"""What the ways of training the roles are called, in files and in tables.

Names only; knows nothing of how arms are trained. Raises nothing.
"""

from enum import StrEnum


class ArmName(StrEnum):
    """How the models of one comparison were trained, by its name in results."""

    SINGLE = "single"
    SINGLE_LONG = "single-equal-steps"
    ONE_STAGE = "one-stage"
    MULTI_TASK = "multi-task"
    WITHOUT_REUSE = "alpha-umi-no-reuse"
    WITH_REUSE = "alpha-umi"


ARM_NAMES: dict[str, str] = {
    ArmName.SINGLE: "Single-LLM",
    ArmName.SINGLE_LONG: "Single-LLM, as many steps",
    ArmName.ONE_STAGE: "Multi-LLM one-stage",
    ArmName.MULTI_TASK: "Single-LLM multi-task",
    ArmName.WITHOUT_REUSE: "alpha-UMi w/o reuse",
    ArmName.WITH_REUSE: "alpha-UMi w/ reuse",
}
"""As tables call them; all but `SINGLE_LONG` are the paper's. That one takes
as many optimizer steps as alpha-UMi."""
