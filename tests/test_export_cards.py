# -*- coding: utf-8 -*-
"""The model cards of what is made of a finished run."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import metadata_load
from report_examples import REPORT

from local_llm.errors import CheckpointError
from local_llm.export_cards import (
    check_card,
    write_gguf_card,
    write_merged_card,
)
from local_llm.reports import read_report, write_report

RUN_CARD = """\
---
library_name: peft
license: gemma
tags:
- lora
- conversations
---

# A LoRA adapter for google/gemma-7b

Fine-tuned on GAIR/lima. The terms of both apply.

## Use

With peft:

```python
# this loads an adapter
model = PeftModel.from_pretrained(base, folder)
```

## Terms

- base model: Gemma Terms of Use
"""


@pytest.fixture(name="run")
def fixture_run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    (run / "README.md").write_text(RUN_CARD)
    return run


def merged(run: Path, base: str = "google/gemma-7b") -> Path:
    write_merged_card(run, base, "float32", run.parent)
    return run.parent / "README.md"


def in_gguf(run: Path, base: str = "google/gemma-7b") -> Path:
    write_gguf_card(run, base, "run-f16.gguf", run.parent, has_modelfile=True)
    return run.parent / "README.md"


both = pytest.mark.parametrize("card", [merged, in_gguf])
Card = Callable[..., Path]


@both
def test_what_the_run_says_of_terms_and_data_is_kept(
    run: Path,
    card: Card,
) -> None:
    path = card(run)
    assert metadata_load(path)["license"] == "gemma"
    assert "Fine-tuned on GAIR/lima. The terms" in path.read_text()


@both
def test_a_base_of_the_hub_is_named_in_the_metadata(
    run: Path,
    card: Card,
) -> None:
    found = metadata_load(card(run))
    assert found["base_model"] == "google/gemma-7b"
    assert found["base_model_relation"] == "finetune"


@both
@pytest.mark.parametrize("base", ["embedded:gemma-3-270m", "/models/own"])
def test_no_other_base_is(run: Path, card: Card, base: str) -> None:
    assert "base_model" not in metadata_load(card(run, base))


@both
def test_the_folders_of_this_machine_are_not_told(
    run: Path,
    card: Card,
) -> None:
    text = card(run, "/home/someone/models/own").read_text()
    assert "\n# own, fine-tuned" in text
    assert "/home/someone" not in text


@both
def test_a_card_has_one_title(run: Path, card: Card) -> None:
    lines = card(run).read_text().splitlines()
    assert [line for line in lines if line.startswith("# ")] == [
        line for line in lines if line.startswith("# google/gemma-7b, fine")
    ]
    assert not any("A LoRA adapter" in line for line in lines)


@both
def test_a_card_does_not_say_how_the_run_itself_is_used(
    run: Path,
    card: Card,
) -> None:
    text = card(run).read_text()
    assert text.count("## Use\n") == 1
    for words in ("peft", "PeftModel", "--merge"):
        assert words not in text


@both
def test_the_sections_stand_in_the_order_of_the_runs_card(
    run: Path,
    card: Card,
) -> None:
    text = card(run).read_text()
    parts = ["Fine-tuned on GAIR/lima", "\n## Use\n", "\n## Terms\n"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@both
def test_what_people_have_written_into_the_card_is_kept(
    run: Path,
    card: Card,
) -> None:
    (run / "README.md").write_text(RUN_CARD + "\n## Thanks\n\nTo all.\n")
    assert card(run).read_text().endswith("\n## Thanks\n\nTo all.\n")


def test_the_card_of_a_merged_model_says_how_it_is_loaded(run: Path) -> None:
    text = merged(run).read_text()
    snippets = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        compile(snippet, "snippet", "exec")
    assert '"local_model_path": "path/to/this/folder"' in snippets[0]
    assert "model = AutoModelForCausalLM.from_pretrained(" in snippets[1]


def test_the_card_of_a_gguf_file_says_how_it_is_run(run: Path) -> None:
    text = in_gguf(run).read_text()
    assert "ollama create NAME -f Modelfile" in text
    assert "llama-cli -m run-f16.gguf -cnv" in text


def test_without_a_modelfile_there_is_nothing_for_ollama(run: Path) -> None:
    write_gguf_card(run, "a/b", "x.gguf", run.parent, has_modelfile=False)
    text = (run.parent / "README.md").read_text()
    assert "llama-cli -m x.gguf" in text
    assert "ollama" not in text


def test_a_gguf_file_of_a_merged_model_has_its_base_in_the_title(
    run: Path,
) -> None:
    card = merged(run)
    again = run.parent / "again"
    again.mkdir()
    write_gguf_card(
        card.parent, "/x/run-merged", "x.gguf", again, has_modelfile=True
    )
    text = (again / "README.md").read_text()
    assert "\n# google/gemma-7b, fine-tuned, as GGUF\n" in text
    assert text.count("Fine-tuned on GAIR/lima") == 1
    assert metadata_load(again / "README.md")["tags"].count("fine-tuned") == 1


@pytest.mark.parametrize(
    "metadata",
    ["license: [", "- a list", "license: \udcff"],
)
def test_metadata_that_cannot_be_read_is_told_with_the_file(
    run: Path,
    metadata: str,
) -> None:
    text = f"---\n{metadata}\n---\n# Mine\n"
    (run / "README.md").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        check_card(run)
    assert str(run / "README.md") in caught.value.message
    assert "between the two ---" in str(caught.value.fix)


def test_a_card_of_people_is_no_fault(run: Path) -> None:
    check_card(run)
    (run / "README.md").write_text("# No metadata\n")
    check_card(run)
    (run / "README.md").unlink()
    check_card(run)


@both
def test_a_run_without_a_card_gets_one(tmp_path: Path, card: Card) -> None:
    (tmp_path / "bare").mkdir()
    path = card(tmp_path / "bare")
    assert metadata_load(path)["pipeline_tag"] == "text-generation"


@both
def test_the_report_that_a_card_leads_to_comes_along(
    run: Path,
    card: Card,
) -> None:
    write_report(run, REPORT)
    (run / "loss.png").write_bytes(b"a picture")
    folder = card(run).parent
    assert read_report(folder) == REPORT
    assert "## Figures" in (folder / "report.md").read_text()
    assert (folder / "loss.png").read_bytes() == b"a picture"


def test_tags_of_an_adapter_are_left_out(run: Path) -> None:
    found = metadata_load(merged(run))
    assert found["tags"] == ["conversations", "fine-tuned"]
    assert found["library_name"] == "transformers"


def test_the_gguf_card_names_its_file(run: Path) -> None:
    assert "`run-f16.gguf`" in in_gguf(run).read_text()
