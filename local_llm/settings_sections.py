# -*- coding: utf-8 -*-
"""The sections of an entry: their keys, what the keys mean, what is near.

Says what a section may hold and judges nothing. Raises ConfigError where a
library that is installed has fields that cannot be read.
"""

import ast
import dataclasses
from collections.abc import Mapping
from functools import cache

from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings_names import RESERVED, TOP_LEVEL
from local_llm.settings_rules import Rule
from local_llm.settings_values import RULES
from local_llm.value_kinds import Kind, parse_annotation


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """The sections of the entries of one type, which messages point to.

    Args:
        rules (`Mapping[str, Mapping[str, Rule]]`): What the keys mean, by the
            name of their section.
        levels (`Mapping[str, str]`): The name of a section in messages, where
            it is not its own.
        reserved (`Mapping[str, Mapping[str, str]]`, optional): What no config
            sets, by section and key: why not.
    """

    rules: Mapping[str, Mapping[str, Rule]]
    levels: Mapping[str, str]
    reserved: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict,
    )

    def level(self, name: str) -> str:
        """Where the keys of a section stand, in words."""
        return self.levels.get(name, name)


LOCAL = Family(
    RULES,
    {
        "entry": TOP_LEVEL,
        "data_source": "a source of data_path",
        **{name: f"fine_tune_config.{name}" for name in LIBRARIES},
    },
    RESERVED,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """An object of the config.

    Args:
        name (`str`): Its key in the tables of rules.
        path (`str`): Its key path in an entry; empty for the entry itself.
        kinds (`Mapping[str, tuple[Kind, ...]]`): What its keys accept.
        title (`str`): What its keys belong to, for messages.
        family (`Family`, optional): The sections around it.
    """

    name: str
    path: str
    kinds: Mapping[str, tuple[Kind, ...]]
    title: str
    family: Family = LOCAL

    def within(self, family: Family) -> "Section":
        """The same section among others."""
        return dataclasses.replace(self, family=family)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """What its keys mean."""
        return self.family.rules[self.name]

    @property
    def reserved(self) -> Mapping[str, str]:
        """What is not set in it, and why."""
        return self.family.reserved.get(self.name, {})


def own_section(
    name: str,
    path: str,
    values: type,
    family: Family = LOCAL,
) -> Section:
    """The section that fills a frozen dataclass of this package.

    Args:
        name (`str`): Its key in the tables of rules.
        path (`str`): Its key path.
        values (`type`): The dataclass.
        family (`Family`, optional): The sections around it.
    """
    kinds = {
        field.name: _own_kinds(str(field.type))
        for field in dataclasses.fields(values)
    }
    return Section(name, path, kinds, "this section", family)


def library_section(name: str) -> Section:
    """The section that a library's class reads.

    Args:
        name (`str`): "training_args", "lora_config" or "bnb_config".
    """
    kinds = {key: field.kinds for key, field in library_fields(name).items()}
    path = f"fine_tune_config.{name}"
    return Section(name, path, kinds, LIBRARIES[name].title)


@cache
def _own_kinds(annotation: str) -> tuple[Kind, ...]:
    # An own section inside another is an object; it is checked on its own.
    names = {
        node.id
        for node in ast.walk(ast.parse(annotation))
        if isinstance(node, ast.Name)
    }
    for name in names:
        if name.endswith("Settings"):
            annotation = annotation.replace(name, "dict")
    return parse_annotation(annotation)
