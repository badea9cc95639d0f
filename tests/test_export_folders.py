# -*- coding: utf-8 -*-
"""What is in the way of an export is found early, and what is done is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import pytest
from finished_runs import finished_run
from gguf import GGUFReader
from tiny_models import DIMENSIONS, make_tokenizer, save_model
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl.chat_template_utils import gemma_chat_template

from local_llm import export_folders, gguf_export
from local_llm.atomic_files import check_manifest
from local_llm.errors import CheckpointError, WeightsError
from local_llm.export_folders import Export, check_export, write_export
from local_llm.finished_runs import read_run_folder, unquantized_base

MORE_THAN_TURNS = "{{ messages | length }}" + gemma_chat_template
"""A template that Ollama's language does not describe."""


@pytest.fixture(name="run")
def fixture_run(project: Path) -> Path:
    return finished_run(project)


@pytest.fixture(name="said")
def fixture_said() -> list[str]:
    """What an export tells of how far it is."""
    return []


def export_of(run: Path, said: list[str], **changes: Any) -> Export:
    """A GGUF file of a run, unless something else is wanted."""
    found = read_run_folder(run)
    base = str(run) if found.holds == "model" else None
    cache = run.parent / "cache"
    export = Export(
        run=found,
        request=unquantized_base(found, base, "float32", cache, None),
        target=run.with_name("made"),
        merges=False,
        gguf="q8_0",
        dtype="float32",
        progress=said.append,
    )
    return replace(export, **changes)


def weights_of(project: Path) -> Path:
    return project / "model" / "model.safetensors"


# -- before anything is read -----------------------------------------------


def test_a_family_that_cannot_be_written_is_refused_before_loading(
    project: Path,
    said: list[str],
) -> None:
    save_model(project / "model", Qwen2ForCausalLM(Qwen2Config(**DIMENSIONS)))
    run = finished_run(project)
    weights_of(project).write_bytes(b"not read")
    with pytest.raises(WeightsError, match="architecture 'qwen2'") as caught:
        check_export(export_of(run, said, merges=True))
    assert caught.value.message.startswith(str(project / "model"))
    check_export(export_of(run, said, merges=True, gguf=None))


def test_a_tokenizer_that_cannot_be_written_is_refused_before_loading(
    project: Path,
    said: list[str],
) -> None:
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer.add_prefix_space = True
    tokenizer.save_pretrained(project / "model")
    run = finished_run(project)
    weights_of(project).write_bytes(b"not read")
    with pytest.raises(WeightsError, match="splits text in a way") as caught:
        check_export(export_of(run, said))
    assert f"the tokenizer of '{run}'" in caught.value.message


def test_nothing_is_in_the_way_of_a_run_that_is_whole(
    run: Path,
    said: list[str],
) -> None:
    before = set(run.parent.iterdir())
    check_export(export_of(run, said))
    assert set(run.parent.iterdir()) == before


# -- what is written -------------------------------------------------------


def test_a_gguf_file_names_the_licence_of_the_run(
    run: Path,
    said: list[str],
) -> None:
    card = run / "README.md"
    text = card.read_text().replace("---\n", "---\nlicense: gemma\n", 1)
    card.write_text(text)
    export = export_of(run, said)
    write_export(export)
    fields = GGUFReader(export.target / "run-q8_0.gguf").fields
    assert fields["general.license"].contents() == "gemma"


def test_without_a_modelfile_the_gguf_file_is_kept(
    project: Path,
    said: list[str],
) -> None:
    template = project / "model" / "chat_template.jinja"
    template.write_text(MORE_THAN_TURNS)
    export = export_of(finished_run(project), said)
    write_export(export)
    check_manifest(export.target)
    names = {path.name for path in export.target.iterdir()}
    assert "run-q8_0.gguf" in names and "Modelfile" not in names
    assert "ollama" not in (export.target / "README.md").read_text()
    assert said[-1].startswith(
        f"no Modelfile was written: the chat template of '{project / 'run'}'",
    )
    assert "write the TEMPLATE of the Modelfile by hand" in said[-1]


def test_a_merged_model_is_kept_where_its_gguf_file_fails(
    run: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(folder: Path, target: Path, kind: str) -> None:
        raise WeightsError(f"{folder} is of no use", fix="another way")

    monkeypatch.setattr(gguf_export, "write_gguf", refuse)
    export = export_of(run, said, merges=True)
    with pytest.raises(WeightsError) as caught:
        write_export(export)
    assert caught.value.message == (
        f"{export.target} is merged, but has no GGUF file: "
        f"{export.target} is of no use"
    )
    assert caught.value.fix == "another way"
    check_manifest(export.target)
    assert (export.target / "model.safetensors").is_file()


def test_where_a_gguf_file_alone_fails_nothing_is_left(
    run: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(folder: Path, target: Path, kind: str) -> None:
        raise CheckpointError(f"cannot write {target}, made of {folder}")

    monkeypatch.setattr(gguf_export, "write_gguf", refuse)
    before = set(run.parent.iterdir())
    export = export_of(run, said)
    with pytest.raises(CheckpointError) as caught:
        write_export(export)
    assert caught.value.message == (
        f"cannot write {export.target}/run-q8_0.gguf, made of {run}"
    )
    assert set(run.parent.iterdir()) == before


# -- other processes -------------------------------------------------------


def test_what_killed_exports_have_left_of_the_same_target_is_deleted(
    run: Path,
    said: list[str],
) -> None:
    export = export_of(run, said)
    dead = export.target.with_name(".made.partial-abc")
    (dead / ".merged-x").mkdir(parents=True)
    (dead / ".merged-x" / "model.safetensors").write_bytes(bytes(10))
    other = export.target.with_name(".other.partial-abc")
    other.mkdir()
    write_export(export)
    assert not dead.exists()
    assert other.exists()
    assert export.target.is_dir()


def test_two_processes_do_not_write_one_target(
    run: Path,
    said: list[str],
) -> None:
    export = export_of(run, said)
    partial = export.target.with_name(".made.partial-abc")
    partial.mkdir()
    with filelock.FileLock(export.target.with_name(".made.lock")):
        with pytest.raises(CheckpointError, match="another process") as e:
            write_export(export)
    assert str(export.target) in e.value.message
    assert partial.is_dir()


def test_the_weights_of_a_step_in_between_are_in_the_folder_that_is_swept(
    run: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = []

    def note(run: Path, request: object, folder: Path, *_: object) -> None:
        places.append(folder)
        raise WeightsError("enough")

    monkeypatch.setattr(export_folders, "write_merged_model", note)
    with pytest.raises(WeightsError, match="enough"):
        write_export(export_of(run, said))
    assert places[0].parent.name.startswith(".made.partial-")
