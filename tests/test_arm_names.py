# -*- coding: utf-8 -*-
"""Every arm has one name in files and one in tables."""

from alpha_umi.arm_names import ARM_NAMES, ArmName
from alpha_umi.arms import ARMS


def test_every_arm_has_a_name() -> None:
    assert list(ARM_NAMES) == list(ArmName)
    assert len(set(ARM_NAMES.values())) == len(ArmName)


def test_what_has_a_name_is_what_can_be_trained() -> None:
    assert {name: arm.title for name, arm in ARMS.items()} == ARM_NAMES
