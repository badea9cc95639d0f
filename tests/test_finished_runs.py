# -*- coding: utf-8 -*-
"""What lies in the folder of a finished run, and on which base it was
trained."""

import json
import shutil
from pathlib import Path

import httpx2
import pytest
from fake_hub import COMMIT, SetHub, hub_with_files
from finished_runs import finished_run
from tiny_agents import local_model, write_rows
from tiny_models import gemma, save_model

from local_llm import finished_runs
from local_llm.atomic_files import sealed_folder
from local_llm.base_model import load_base_model
from local_llm.errors import CheckpointError, WeightsError
from local_llm.finished_runs import RunFolder, read_run_folder
from local_llm.model_sources import LoadRequest


@pytest.fixture(name="run", scope="module")
def fixture_run(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_folder: Path,
) -> Path:
    """A run of a few steps; not to be changed."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(tiny_folder, project / "model")
    write_rows(project / "data.json")
    return finished_run(project)


def pinned_run(project: Path, hub: SetHub) -> Path:
    """A run on the tag `v1` of a repository that has gone on since."""
    save_model(project / "newer", gemma(seed=5))
    at = {
        "v1": hub_with_files("owner/pinned", files_in(project / "model")),
        "main": hub_with_files(
            "owner/pinned",
            files_in(project / "newer"),
            commit="b" * 40,
        ),
    }

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        is_old = "/v1" in path or COMMIT in path
        return at["v1" if is_old else "main"](request)

    hub(answer)
    return finished_run(
        project,
        local_model_path=None,
        pretrained_model_name_or_path="owner/pinned",
        revision="v1",
    )


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def unquantized(
    run: Path,
    base: str | None = None,
    precision: finished_runs.Precision = "float32",
) -> LoadRequest:
    return finished_runs.unquantized_base(
        read_run_folder(run),
        base,
        precision,
        run.parent / "cache",
        None,
    )


def test_a_fine_tuning_run_holds_an_adapter(run: Path) -> None:
    assert read_run_folder(run) == RunFolder(run, "adapter")


def test_a_sealed_folder_with_a_model_holds_a_model(tmp_path: Path) -> None:
    with sealed_folder(tmp_path / "whole") as partial:
        save_model(partial, gemma())
    found = read_run_folder(tmp_path / "whole")
    assert found == RunFolder(tmp_path / "whole", "model")


@pytest.mark.parametrize(
    ("name", "message"),
    [("not there", "does not exist"), (".", "is not a finished run")],
)
def test_other_folders_are_refused(
    tmp_path: Path,
    name: str,
    message: str,
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_run_folder(tmp_path / name)
    assert "output_dir" in caught.value.fix


def test_a_sealed_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with sealed_folder(tmp_path / "notes") as partial:
        (partial / "notes.txt").write_text("nothing")
    with pytest.raises(CheckpointError, match="neither an adapter nor a"):
        read_run_folder(tmp_path / "notes")


def test_a_run_that_was_changed_is_refused(run: Path, tmp_path: Path) -> None:
    own = shutil.copytree(run, tmp_path / "run")
    with (own / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(CheckpointError, match="sha256 differs"):
        read_run_folder(own)


def test_the_base_is_the_one_that_the_run_has_noted(run: Path) -> None:
    assert unquantized(run).source == str(run.parent / "model")


def test_a_named_base_goes_before_the_noted_one(run: Path) -> None:
    assert unquantized(run, "google/gemma-7b").source == "google/gemma-7b"


def test_a_named_folder_counts_from_the_working_folder(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(run.parent)
    assert unquantized(run, "model").source == str(run.parent / "model")


def test_the_tokenizer_is_that_of_the_run(run: Path) -> None:
    assert unquantized(run).tokenizer == str(run)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_base_is_loaded_dense_in_the_wanted_format(
    run: Path,
    precision: finished_runs.Precision,
) -> None:
    base = load_base_model(unquantized(run, precision=precision))
    assert not getattr(base.model, "is_quantized", False)
    assert {str(one.dtype) for one in base.model.parameters()} == {
        f"torch.{precision}",
    }


def test_the_dense_base_has_the_fingerprint_of_the_quantized_one(
    run: Path,
) -> None:
    noted = json.loads((run / "base_model.json").read_text())["fingerprint"]
    assert load_base_model(unquantized(run)).fingerprint == noted


def test_a_run_on_a_pinned_revision_gets_that_base_again(
    project: Path,
    hub: SetHub,
) -> None:
    run = pinned_run(project, hub)
    request = unquantized(run)
    assert (request.source, request.revision) == ("owner/pinned", "v1")
    noted = json.loads((run / "base_model.json").read_text())
    assert load_base_model(request).fingerprint == noted["fingerprint"]
    config = json.loads((run / "adapter_config.json").read_text())
    assert config["revision"] == "v1"
    assert unquantized(run, "owner/pinned").revision == "v1"
    assert unquantized(run, "owner/other").revision is None


def test_a_model_of_a_pinned_run_comes_on_that_revision(
    project: Path,
    hub: SetHub,
) -> None:
    pinned_run(project, hub)
    model = local_model(project, local_model_path="run", data_path=None)
    model.load_model()
    assert model.is_fine_tuned
    assert model.base.revision == "v1"


def test_a_base_that_has_gone_is_asked_for(run: Path, tmp_path: Path) -> None:
    own = shutil.copytree(run, tmp_path / "run")
    gone = {"name": str(tmp_path / "gone"), "fingerprint": "f"}
    (own / "base_model.json").write_text(json.dumps(gone))
    with pytest.raises(WeightsError, match="is not at .*gone any more") as e:
        finished_runs.unquantized_base(
            RunFolder(own, "adapter"), None, "float32", tmp_path, None
        )
    assert "--base" in e.value.fix


def test_an_adapter_of_others_needs_a_named_base(
    run: Path,
    tmp_path: Path,
) -> None:
    own = shutil.copytree(run, tmp_path / "run")
    (own / "base_model.json").unlink()
    with pytest.raises(WeightsError, match="does not say which base") as e:
        finished_runs.unquantized_base(
            RunFolder(own, "adapter"), None, "float32", tmp_path, None
        )
    assert "--base" in e.value.fix
