# -*- coding: utf-8 -*-
"""The card of an adapter is one that the hub takes and people can use."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load
from report_examples import REPORT, source_of

from local_llm.known_licences import KNOWN_LICENCES
from local_llm.model_card import public_name, terms, usage, write_card
from local_llm.reports import RunReport

HOME = "/home/somebody/models/tiny gemma"


def report_on(base: str = "google/gemma-7b", **changes: Any) -> RunReport:
    return replace(REPORT, base={**REPORT.base, "name": base}, **changes)


def under(base: str, data: str) -> RunReport:
    return report_on(licences={"base": base, "data": data})


def from_sources(*licences: str) -> RunReport:
    """On Gemma and sources of these licences."""
    sources = [
        source_of(f"/home/somebody/{number}.json", licence=name)
        for number, name in enumerate(licences)
    ]
    return report_on(
        data={**REPORT.data, "sources": sources},
        licences={"base": "Gemma Terms of Use", "data": "; ".join(licences)},
    )


def card(folder: Path, report: RunReport) -> str:
    write_card(folder, report)
    return (folder / "README.md").read_text(encoding="utf-8")


def metadata(folder: Path, report: RunReport) -> dict[str, Any]:
    write_card(folder, report)
    return metadata_load(folder / "README.md")


# -- what the hub reads ---------------------------------------------------


def test_the_metadata_names_base_licence_and_library(tmp_path: Path) -> None:
    assert metadata(tmp_path, report_on()) == {
        "base_model": "google/gemma-7b",
        "library_name": "peft",
        "license": "gemma",
        "pipeline_tag": "text-generation",
        "tags": ["lora"],
    }


def test_a_dataset_of_the_hub_is_named(tmp_path: Path) -> None:
    sources = [
        source_of("GAIR/lima", hub_id="GAIR/lima"),
        source_of("GAIR/lima (test)", hub_id="GAIR/lima"),
        source_of("data.json"),
        source_of("o/n@v1", hub_id="o/n"),
    ]
    report = report_on(data={**REPORT.data, "sources": sources})
    assert metadata(tmp_path, report)["datasets"] == ["GAIR/lima", "o/n"]


@pytest.mark.parametrize("base", ["embedded:gemma-3-270m", HOME, "./model"])
def test_a_base_that_is_not_on_the_hub_is_not_named_as_if(
    tmp_path: Path,
    base: str,
) -> None:
    assert "base_model" not in metadata(tmp_path, report_on(base))


@pytest.mark.parametrize(
    ("base", "data", "identifier"),
    [
        ("gemma", "cc0-1.0", "gemma"),
        ("gemma", "mit", "gemma"),
        ("gemma", "gemma", "gemma"),
        ("apache-2.0", "cc-by-4.0", "apache-2.0"),
        ("gemma", "lima", "other"),
        ("apache-2.0", "cc-by-nc-4.0", "other"),
    ],
)
def test_the_licence_is_the_bases_unless_the_data_binds_too(
    tmp_path: Path,
    base: str,
    data: str,
    identifier: str,
) -> None:
    names = [KNOWN_LICENCES[key].name for key in (base, data)]
    found = metadata(tmp_path, under(*names))
    assert found["license"] == identifier
    assert ("license_name" in found) == (identifier == "other")


@pytest.mark.parametrize(
    ("licences", "identifier"),
    [
        (("MIT License", "CC BY-NC-SA 4.0"), "other"),
        (("unknown", "CC BY-SA 4.0"), "other"),
        (("MIT License", "unknown"), "gemma"),
    ],
)
def test_one_source_that_binds_is_enough(
    tmp_path: Path,
    licences: tuple[str, str],
    identifier: str,
) -> None:
    report = from_sources(*licences)
    assert metadata(tmp_path, report)["license"] == identifier


@pytest.mark.parametrize("base", ["unknown", "llama3.2", "Our own terms"])
def test_no_licence_is_claimed_where_the_bases_is_not_known(
    tmp_path: Path,
    base: str,
) -> None:
    assert "license" not in metadata(tmp_path, under(base, "MIT License"))


def test_a_report_of_the_first_version_has_a_card(tmp_path: Path) -> None:
    found = metadata(tmp_path, report_on(licences={}))
    assert "license" not in found


@pytest.mark.parametrize(
    "name", ["a: b", "---\n# x", "[x]", "caf\u00e9", "'\"'"]
)
def test_no_name_breaks_the_metadata(tmp_path: Path, name: str) -> None:
    write_card(tmp_path, report_on(name))
    loaded = ModelCard.load(tmp_path / "README.md")
    assert loaded.data.base_model == name
    assert loaded.data.library_name == "peft"


# -- what people read -----------------------------------------------------


def test_the_card_names_base_data_and_outcome(tmp_path: Path) -> None:
    text = card(tmp_path, report_on())
    assert "# A LoRA adapter for `google/gemma-7b`\n" in text
    assert "Fine-tuned on `data.json`. The loss on held-out rows fell" in text


def test_the_card_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    data = {**REPORT.data, "source": "/home/somebody/my data/chats.json"}
    text = card(tmp_path, report_on(HOME, data=data))
    assert "somebody" not in text
    assert "# A LoRA adapter for `tiny gemma`\n" in text
    assert "Fine-tuned on `chats.json`." in text
    assert '"path/to/tiny gemma"' in text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("data/chats.json", "data/chats.json"),
        ("GAIR/lima", "GAIR/lima"),
        ("/home/x/a.json", "a.json"),
        ("~/a.json", "a.json"),
        ("/x/a.json (0.7), GAIR/lima (0.3)", "a.json (0.7), GAIR/lima (0.3)"),
        ("GAIR/lima, /x/a b/c.json", "GAIR/lima, c.json"),
    ],
)
def test_a_public_name_has_no_folders_of_this_machine(
    source: str,
    shown: str,
) -> None:
    assert public_name(source) == shown


def test_the_snippets_are_python_and_name_base_and_folder() -> None:
    text = usage("some/model", "<end_of_turn>", "runs/my run's")
    snippets = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        compile(snippet, "snippet", "exec")
        assert '"some/model"' in snippet
        assert '"runs/my run\'s"' in snippet
    assert (
        'eos_token_id=tokenizer.convert_tokens_to_ids("<end_of_turn>")'
        in (snippets[1])
    )


@pytest.mark.parametrize(
    "folder",
    ["caf\u00e9/\U0001f642", "a\\b\"c'd", "half \udce9", "a\x1bb\u202ec{x}\n"],
)
def test_the_folder_in_a_snippet_is_that_folder(folder: str) -> None:
    text = usage("embedded:gemma-3-270m", None, folder)
    (found,) = re.findall(r"local_model_path=(.*)\)", text)
    assert ast.literal_eval(found) == folder


def test_a_base_of_one_revision_is_loaded_at_it() -> None:
    text = usage("some/model", None, "runs/mine", "v1")
    own, with_peft = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    for snippet in (own, with_peft):
        compile(snippet, "snippet", "exec")
    assert '"revision": "v1"' in own
    assert 'revision="v1"' in with_peft


def test_the_command_is_quoted_for_a_shell() -> None:
    text = usage("some/model", None, "runs/my run")
    assert (
        "```bash\npython -m local_llm.export 'runs/my run' --merge\n```"
        in text
    )
    assert "eos_token_id" not in text


@pytest.mark.parametrize("base", ["embedded:gemma-3-270m", "/x/model.gguf"])
def test_what_peft_alone_cannot_load_has_no_snippet_for_it(base: str) -> None:
    assert "PeftModel" not in usage(base, "<end_of_turn>", "run")


def test_a_model_that_was_trained_whole_is_no_adapter(tmp_path: Path) -> None:
    report = report_on(is_whole_model=True)
    found = metadata(tmp_path, report)
    assert found["library_name"] == "transformers"
    assert "tags" not in found
    text = card(tmp_path, report)
    assert "# `google/gemma-7b`, all of its weights fine-tuned\n" in text
    for word in ("adapter", "LoRA", "peft"):
        assert word not in text
    snippets = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        compile(snippet, "snippet", "exec")
        assert '"path/to/this/folder"' in snippet


# -- terms ----------------------------------------------------------------


def test_terms_are_those_of_every_source_also_the_unknown_ones() -> None:
    lines = terms(from_sources("MIT License", "unknown")).splitlines()
    assert lines[1].startswith("- data `0.json`: [MIT License](")
    assert lines[2].startswith("- data `1.json`: no licence was found; ")


def test_terms_say_what_each_licence_asks() -> None:
    text = terms(under("Gemma Terms of Use", "CC0 1.0"))
    assert text.splitlines()[:2] == [
        "- base model: [Gemma Terms of Use](https://ai.google.dev/gemma/terms)"
        ": these terms apply to every model made from Gemma; pass them and "
        "their prohibited uses on with the adapter, and say what it is",
        "- data: [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/)"
        ": asks for nothing",
    ]


def test_terms_that_nobody_knows_are_to_be_found_out() -> None:
    lines = terms(under("unknown", "a | [b](c)")).splitlines()
    assert lines[0] == (
        "- base model: no licence was found; find out what is allowed before "
        "you pass the adapter on"
    )
    assert lines[1] == (
        "- data: <code>a &#124; &#91;b&#93;&#40;c&#41;</code>; read what it "
        "asks of derived models"
    )
