# -*- coding: utf-8 -*-
"""A licence is recognised by its text, its name and its identifier."""

from pathlib import Path

import pytest

from local_llm.known_licences import (
    KNOWN_LICENCES,
    licence_of,
    named,
    recognised,
)

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("MIT License\n\nCopyright (c) 2020 X\n", "mit"),
        (
            "Copyright (c) 2020 X\n\nPermission is hereby granted, free of "
            "charge, to any person",
            "mit",
        ),
        ("\n   Apache License\n   Version 2.0, January 2004", "apache-2.0"),
        ("BSD 3-Clause License", "bsd-3-clause"),
        ("Creative Commons Legal Code\n\nCC0 1.0 Universal", "cc0-1.0"),
        ("[CC0](https://creativecommons.org/publicdomain/zero/1.0/)", "cc0-1.0"),
        ("Attribution 4.0 International", "cc-by-4.0"),
        ("Attribution-ShareAlike 4.0 International", "cc-by-sa-4.0"),
        ("CC BY-SA 3.0", "cc-by-sa-3.0"),
        ("Attribution-NonCommercial 4.0 International", "cc-by-nc-4.0"),
        ("CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0"),
        ("Attribution-NonCommercial-ShareAlike 4.0", "cc-by-nc-sa-4.0"),
        ("Open Data Commons Attribution License (ODC-By) v1.0", "odc-by"),
        ("Gemma Terms of Use\n\nLast modified", "gemma"),
    ],
)  # fmt: skip
def test_a_text_is_recognised(text: str, key: str) -> None:
    assert recognised(text) == KNOWN_LICENCES[key].name


def test_the_licence_of_this_project_is_recognised() -> None:
    assert recognised((PROJECT / "LICENSE").read_text()) == (
        "Apache License 2.0"
    )


@pytest.mark.parametrize("text", ["", "All rights reserved.", "permit"])
def test_another_text_is_not_recognised(text: str) -> None:
    assert recognised(text) is None


def test_a_licence_that_names_another_further_on_is_itself() -> None:
    text = "MIT License" + " words" * 20 + "like the Apache License 2.0"
    assert recognised(text) == "MIT License"


def test_an_identifier_becomes_a_name_and_an_unknown_one_stays() -> None:
    assert named("gemma") == "Gemma Terms of Use"
    assert named(" CC0-1.0 ") == "CC0 1.0"
    assert named("llama3.2") == "llama3.2"


def test_a_name_leads_back_to_its_licence() -> None:
    for licence in KNOWN_LICENCES.values():
        assert licence_of(licence.name) is licence
    assert licence_of("unknown") is None


def test_what_restricts_use_or_sharing_binds_adapters() -> None:
    binding = {
        key for key, one in KNOWN_LICENCES.items() if one.binds_adapters
    }
    assert binding == {
        "gemma",
        "lima",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
    }
