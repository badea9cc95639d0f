# -*- coding: utf-8 -*-
"""What is handed on of a run names no folder of the machine it was made on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from finished_runs import finished_run
from report_examples import REPORT

from local_llm.atomic_files import check_manifest, sealed_folder
from local_llm.public_files import Files, public_files, public_texts
from local_llm.report_pages import write_pages
from local_llm.reports import RunReport, read_report, write_report

HOME = "/home/somebody"
LOCAL = replace(
    REPORT,
    base={**REPORT.base, "name": f"{HOME}/models/own"},
    data={
        **REPORT.data,
        "source": f"{HOME}/a.json (0.5), GAIR/lima (0.5)",
        "drop_places": {"empty turn": [f"{HOME}/a.json row 3, turn 1"]},
    },
    settings={"training_args": {"logging_dir": f"{HOME}/logs"}},
    licences={**REPORT.licences, "base_found_in": f"{HOME}/models/README.md"},
)


def sealed(folder: Path, report: RunReport = LOCAL) -> Path:
    """A run as training leaves it, but for the weights."""
    base = report.base["name"]
    with sealed_folder(folder) as partial:
        write_report(partial, report)
        write_pages(partial, report, folder)
        write_json(partial / "base_model.json", {"name": base})
        record = {"r": 4, "base_model_name_or_path": base}
        write_json(partial / "adapter_config.json", record)
        (partial / "README.md").write_text("# A card")
        (partial / "weights").write_bytes(bytes(1000))
        (partial / "tracker_logs").mkdir()
        (partial / "tracker_logs" / "events.of.this-machine").touch()
    return folder


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def written(files: Files, folder: Path) -> Path:
    """What somebody has who fetches the files."""
    for name, content in files.items():
        folder.mkdir(exist_ok=True)
        if isinstance(content, Path):
            content = content.read_bytes()
        (folder / name).write_bytes(content)
    return folder


def test_no_file_names_a_folder_of_this_machine(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run")
    assert any(HOME in one.read_text() for one in run.glob("*.md"))
    fetched = written(public_files(run), tmp_path / "fetched")
    for file in fetched.iterdir():
        text = file.read_bytes().decode(errors="replace")
        assert HOME not in text, file.name
        assert str(tmp_path) not in text, file.name


def test_names_stay(tmp_path: Path) -> None:
    texts = public_texts(sealed(tmp_path / "run"))
    page = texts["report.md"].decode()
    assert page.startswith("# `own` fine-tuned on `a.json (0.5), GAIR/lima")
    assert "`a.json row 3, turn 1`" in page
    assert json.loads(texts["report.json"])["settings"] == {
        "training_args": {"logging_dir": "logs"},
    }


def test_a_local_base_is_not_named_like_one_of_the_hub(tmp_path: Path) -> None:
    texts = public_texts(sealed(tmp_path / "run"))
    assert json.loads(texts["base_model.json"]) == {"name": "./own"}
    assert json.loads(texts["adapter_config.json"]) == {
        "r": 4,
        "base_model_name_or_path": "./own",
    }


@pytest.mark.parametrize("name", ["google/gemma-7b", "embedded:gemma-3-270m"])
def test_a_base_that_others_have_is_named_as_it_is(
    tmp_path: Path,
    name: str,
) -> None:
    report = replace(REPORT, base={**REPORT.base, "name": name})
    texts = public_texts(sealed(tmp_path / "run", report))
    assert json.loads(texts["base_model.json"]) == {"name": name}
    assert json.loads(texts["report.json"])["base"]["name"] == name


def test_what_is_fetched_agrees_with_its_manifest(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run")
    (run / "README.md").write_text("# A card that was edited")
    fetched = written(public_files(run), tmp_path / "fetched")
    check_manifest(fetched)
    assert read_report(fetched).losses == LOCAL.losses


def test_what_people_and_models_said_is_not_touched(tmp_path: Path) -> None:
    (one,) = REPORT.demonstrations
    said = replace(one, prompt="/etc/hosts, what is it?")
    report = replace(LOCAL, demonstrations=[said])
    texts = public_texts(sealed(tmp_path / "run", report))
    assert "/etc/hosts, what is it?" in texts["report.md"].decode()


def test_the_page_has_no_commands_for_a_folder_that_is_elsewhere(
    tmp_path: Path,
) -> None:
    texts = public_texts(sealed(tmp_path / "run"))
    assert "How to use it" not in texts["report.md"].decode()


def test_logs_of_trackers_are_left_out(tmp_path: Path) -> None:
    files = public_files(sealed(tmp_path / "run"))
    assert not any("tracker_logs" in name for name in files)
    manifest = files["manifest.json"]
    assert isinstance(manifest, bytes) and b"this-machine" not in manifest


def test_large_files_are_not_read(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run")
    assert public_files(run)["weights"] == run / "weights"


def test_the_folder_itself_stays_as_it_is(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run")
    before = {one: one.read_bytes() for one in run.iterdir() if one.is_file()}
    public_files(run)
    assert before == {one: one.read_bytes() for one in before}


def test_twice_is_as_once(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run")
    first = written(public_files(run), tmp_path / "first")
    second = written(public_files(first), tmp_path / "second")
    for file in first.iterdir():
        assert (second / file.name).read_bytes() == file.read_bytes()


def test_a_real_run_names_nothing_of_this_machine(project: Path) -> None:
    data, output = str(project / "data.json"), str(project / "run")
    run = finished_run(project, data_path=data, output_dir=output)
    files = public_files(run)
    for name in [one for one in files if not one.endswith(".safetensors")]:
        content = files[name]
        if isinstance(content, Path):
            content = content.read_bytes()
        assert str(project).encode() not in content, name


def test_a_folder_without_a_report_has_the_files_it_has(
    tmp_path: Path,
) -> None:
    run = sealed(tmp_path / "run")
    shutil.copytree(run, tmp_path / "bare")
    (tmp_path / "bare" / "report.json").unlink()
    names = public_texts(tmp_path / "bare")
    assert sorted(names) == ["adapter_config.json", "base_model.json"]
