# -*- coding: utf-8 -*-
"""A local model as a whole: loaded, fine-tuned, published, used again."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_agents import (
    FINE_TUNING,
    fine_tuning,
    local_model,
    messages_of,
    write_rows,
)
from tiny_models import gemma, save_model
from transformers import TrainerCallback, TrainerControl

from local_llm import atomic_files, checkpoints, disk_room, runs
from local_llm import fine_tuning as fine_tuning_module
from local_llm.adapters import active_adapter
from local_llm.base_model import BaseModel
from local_llm.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    TrainingError,
    WeightsError,
)
from local_llm.local_model import LocalModel
from local_llm.reports import RunReport, read_report
from local_llm.trained_weights import TrainedWeights
from local_llm.turns import Turn

QUESTION = "Question 3?"
CONTINUED = {"continue_lora_finetuning": True}


def loaded(project: Path, **changes: Any) -> LocalModel:
    """The project's model with its weights, not fine-tuned."""
    model = local_model(project, **changes)
    model.load_model()
    return model


def tuned(model: LocalModel, **more: Any) -> RunReport:
    """Fine-tune on the conversations of the settings."""
    return model.fine_tune(model.read_data(), **more)


def said(model: LocalModel, question: str = QUESTION) -> str:
    """What the model replies."""
    return model.reply(question).text


def reload(project: Path, **changes: Any) -> tuple[LocalModel, list[str]]:
    """A new model that fine-tunes unless it need not, and what it logs."""
    model = loaded(project, **changes)
    with messages_of("local_llm.local_model") as logged:
        model.ensure_fine_tuned(model.read_data())
    return model, logged


@pytest.fixture(scope="module")
def finished(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A project with a finished run; to be copied, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_folder, folder / "model")
    write_rows(folder / "data.json")
    tuned(loaded(folder))
    return folder


@pytest.fixture
def with_run(finished: Path, tmp_path: Path) -> Path:
    """A project of its own with a finished run."""
    return shutil.copytree(finished, tmp_path / "with run")


# -- a finished run ------------------------------------------------------------


def test_a_finished_run_has_all_that_is_needed_and_a_manifest(with_run):
    run = with_run / "run"
    assert {path.name for path in run.iterdir()} >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
        "report.json",
        "report.md",
        "loss.png",
        "manifest.json",
    }
    atomic_files.check_manifest(run)
    files = json.loads((run / "manifest.json").read_text())["files"]
    names = {path.name for path in run.iterdir()} - {"manifest.json"}
    assert files.keys() == names
    assert [p.name for p in with_run.iterdir() if "partial" in p.name] == []


def test_the_report_says_what_was_done(with_run):
    report = read_report(with_run / "run")
    assert (report.steps, len(report.losses)) == (6, 6)
    assert report.held_out_after < 0.75 * report.held_out_before
    assert report.data["summary"] == (
        "8 rows (8 lima), 0 multi-turn, 0 dropped, 2 held out"
    )
    assert report.data["shortened"] == 0
    assert report.settings["training_args"] == FINE_TUNING["training_args"]
    assert report.base["device"] == "cpu"
    assert report.tokens > report.data["trained_tokens"] > 0


def test_the_demonstrations_are_answered_before_and_after(project):
    model = loaded(project)
    before = model.reply(QUESTION)
    report = tuned(model, before={QUESTION: before})
    (one,) = report.demonstrations
    assert (one.prompt, one.before) == (QUESTION, before)
    assert one.after.text == said(model) != before.text
    assert read_report(project / "run").demonstrations == [one]


def test_replies_stay_the_same_when_published_and_when_loaded_again(
    project,
    monkeypatch,
):
    before, publish = [], runs.publish

    def note(weights: TrainedWeights, *rest: Any) -> None:
        before.append(logits(weights.base, weights.adapter))
        publish(weights, *rest)

    monkeypatch.setattr(runs, "publish", note)
    model = loaded(project)
    report = tuned(model, before={QUESTION: model.reply(QUESTION)})
    published = logits(model.base, model._adapter)
    reply = said(model)
    again = loaded(project)
    again.load_adapter(project / "run")
    moved = shutil.copytree(project, project.with_name("moved"))
    elsewhere = loaded(moved)
    elsewhere.load_adapter(moved / "run")
    assert elsewhere.base is not model.base
    for other in (published, *map(logits_of, (again, elsewhere, model))):
        assert torch.equal(other, before[0])
    assert report.demonstrations[0].after.text == reply
    assert [said(again), said(elsewhere)] == [reply] * 2


def logits_of(model: LocalModel) -> torch.Tensor:
    """What the next token is drawn from, with the adapter in use."""
    return logits(model.base, model._adapter)


def logits(base: BaseModel, adapter: str | None) -> torch.Tensor:
    """The same, with some adapter."""
    ids = base.chat_format.prompt_ids([Turn("user", QUESTION)])
    base.weights.use_for_generation()
    with active_adapter(base, adapter), torch.inference_mode():
        return base.model(torch.tensor([ids])).logits.clone()


def test_a_run_folder_is_loaded_as_an_adapter_on_the_configs_base(with_run):
    model = loaded(with_run)
    base = model.base
    model.load_model(local_model_path="run")
    assert model.base is base
    assert model.report == read_report(with_run / "run")
    assert said(model) != said(loaded(with_run))


def test_a_run_of_another_base_is_refused(with_run):
    save_model(with_run / "other", gemma(seed=5))
    model = loaded(with_run, local_model_path="other")
    before = said(model)
    with pytest.raises(WeightsError, match="was trained on .*model, not on"):
        model.load_model(local_model_path="run")
    assert not model.is_fine_tuned
    assert said(model) == before


def test_a_run_with_a_changed_byte_is_refused(with_run):
    flip_a_byte(with_run / "run" / "adapter_model.safetensors")
    model = loaded(with_run)
    before = said(model)
    with pytest.raises(CheckpointError, match="adapter_model.safetensors"):
        model.load_model(local_model_path="run")
    assert said(model) == before


def flip_a_byte(path: Path) -> None:
    """Change one bit of the last byte."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


# -- using a run again ---------------------------------------------------------


def test_the_same_settings_use_the_finished_run_and_say_so(with_run):
    run = with_run / "run"
    report, changed = read_report(run), run.stat().st_mtime_ns
    model, logged = reload(with_run)
    assert model.report == report
    assert run.stat().st_mtime_ns == changed
    assert logged == [f"finished run used folder={run}"]
    expected = loaded(with_run)
    expected.load_adapter(run)
    assert said(model) == said(expected)


def test_other_settings_train_anew_and_keep_the_run_before(with_run):
    before = read_report(with_run / "run")
    changes = fine_tuning(learning_rate=4e-2)
    model, logged = reload(with_run, fine_tune_config=changes)
    assert model.report.key != before.key
    assert logged == [f"run finished folder={with_run / 'run'}"]
    assert read_report(with_run / "run") == model.report
    assert read_report(with_run / "run.previous-1") == before
    atomic_files.check_manifest(with_run / "run.previous-1")


def test_other_data_trains_anew(with_run):
    before = read_report(with_run / "run")
    write_rows(with_run / "data.json", answer="Another")
    model, _ = reload(with_run)
    assert model.report.key != before.key


def test_a_damaged_run_is_an_error_and_not_trained_over(with_run):
    flip_a_byte(with_run / "run" / "adapter_model.safetensors")
    model = loaded(with_run)
    with pytest.raises(CheckpointError, match="sha256 differs"):
        model.ensure_fine_tuned(model.read_data())
    assert not (with_run / "run.previous-1").exists()


# -- fine-tuning twice -----------------------------------------------------------


@dataclass
class History:
    """Reports of a run, of one that went on from it, and of a fresh one."""

    model: LocalModel
    first: RunReport
    continued: RunReport
    fresh: RunReport


@pytest.fixture(scope="module")
def history(
    finished: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> History:
    """A model that was fine-tuned three times."""
    place = tmp_path_factory.mktemp("history")
    model = loaded(shutil.copytree(finished, place / "project"))
    model.load_model(local_model_path="run")
    first = model.report
    continued = tuned(model, fine_tune_config=CONTINUED)
    return History(model, first, continued, tuned(model))


def test_continuing_starts_from_the_weights_of_the_first_run(history):
    first, continued = history.first, history.continued
    assert continued.held_out_before == pytest.approx(
        first.held_out_after, abs=1e-3
    )
    assert continued.held_out_after < first.held_out_after
    assert continued.key != first.key


def test_without_continuing_the_second_run_starts_afresh(history):
    first, fresh = history.first, history.fresh
    assert (fresh.key, fresh.losses) == (first.key, first.losses)
    assert fresh.held_out_before == first.held_out_before
    assert fresh.held_out_after == first.held_out_after


def test_each_run_before_is_kept_and_only_the_last_adapter_is_loaded(history):
    folder = history.model.surroundings.folder
    assert read_report(folder / "run.previous-1") == history.first
    assert read_report(folder / "run.previous-2") == history.continued
    assert read_report(folder / "run") == history.fresh
    assert len(history.model.base.peft_model.peft_config) == 1


def test_fine_tuning_leaves_others_on_the_same_weights_as_they_were(project):
    plain, first, second = (loaded(project) for _ in range(3))
    assert plain.base is first.base is second.base
    untuned = said(plain)
    tuned(first)
    answer = said(first)
    tuned(second, fine_tune_config=fine_tuning(max_steps=3), output_dir="two")
    assert said(second) != answer
    assert (said(plain), said(first)) == (untuned, answer)


# -- what goes wrong ---------------------------------------------------------------


class Poison(TrainerCallback):
    """Makes a weight infinite, as a run that diverges does."""

    def on_step_end(self, args, state, control: TrainerControl, **kwargs):
        for parameter in kwargs["model"].parameters():
            if parameter.requires_grad:
                parameter.data.fill_(float("inf"))
                return


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every run diverges after its first step."""
    from local_llm.chat_trainer import ChatTrainer

    start = ChatTrainer.train

    def train(self):
        self.add_callback(Poison())
        return start(self)

    monkeypatch.setattr(ChatTrainer, "train", train)


def test_a_diverging_run_changes_nothing(project, poisoned):
    model = loaded(project)
    before = said(model)
    with pytest.raises(TrainingError, match="nan|finite"):
        tuned(model)
    assert not model.is_fine_tuned
    assert said(model) == before
    assert not (project / "run").exists()
    assert model.base.peft_model.peft_config == {}


def test_a_run_that_fails_leaves_the_adapter_in_use(with_run, monkeypatch):
    model, _ = reload(with_run)
    before, report = said(model), model.report
    changed = (with_run / "run").stat().st_mtime_ns

    def fail(*arguments):
        raise TrainingError("out of luck")

    monkeypatch.setattr(fine_tuning_module, "train", fail)
    with pytest.raises(TrainingError, match="out of luck"):
        tuned(model, fine_tune_config=CONTINUED)
    assert model.report is report
    assert said(model) == before
    assert (with_run / "run").stat().st_mtime_ns == changed
    assert len(model.base.peft_model.peft_config) == 1


def test_an_impossible_output_folder_is_found_before_training(
    project,
    monkeypatch,
):
    (project / "file").write_text("in the way")
    model = loaded(project)
    monkeypatch.setattr(fine_tuning_module, "train", None)
    with pytest.raises(CheckpointError, match="cannot write"):
        tuned(model, output_dir="file/run")
    assert model.base.peft_model is None


def test_a_continued_adapter_takes_the_room_of_its_own_rank(with_run):
    """Of rank 4, where the default is 16."""
    continued = local_model(
        with_run,
        local_model_path="run",
        output_dir="next",
        fine_tune_config={**CONTINUED, "training_args": {"max_steps": 1}},
    )
    chosen = continued.settings.fine_tune_config
    new = dataclasses.replace(chosen, continue_lora_finetuning=False)
    needed, same, more = (
        continued._disk_needed(one)
        for one in (
            chosen,
            dataclasses.replace(new, lora_config={"r": 4}),
            dataclasses.replace(new, lora_config={}),
        )
    )
    assert needed == same < more


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads a model fails."""

    def fail(*_):
        raise WeightsError("it was loaded")

    monkeypatch.setattr("local_llm.loaded_model.load_base_model", fail)


@pytest.mark.parametrize("way", ["reuse", "retrain"])
def test_an_impossible_output_folder_is_found_before_loading(
    project,
    unloadable,
    way,
):
    (project / "file").write_text("in the way")
    model = local_model(project, output_dir="file/run")
    with pytest.raises(CheckpointError, match="cannot write"):
        model.start(way)


@pytest.mark.parametrize("way", ["reuse", "retrain"])
def test_a_full_disk_is_found_before_loading(
    project,
    unloadable,
    monkeypatch,
    way,
):
    monkeypatch.setattr(disk_room, "free_bytes", lambda folder: 10)
    with pytest.raises(CheckpointError, match="10 bytes are free"):
        local_model(project).start(way)


def test_files_of_others_are_in_the_way_of_a_run_that_goes_on(
    project,
    unloadable,
):
    begun = checkpoints.unfinished_folder(project / "run")
    checkpoints.begin(begun, {})
    checkpoints.commit(begun, 1, lambda folder: None)
    (project / "run").mkdir()
    (project / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="files that are not of a run"):
        local_model(project).start("reuse")


@pytest.mark.parametrize("steps", [[], [1]])
def test_an_unfinished_run_is_no_reason_not_to_load(
    project,
    unloadable,
    steps,
):
    begun = checkpoints.unfinished_folder(project / "run")
    checkpoints.begin(begun, {})
    for step in steps:
        checkpoints.commit(begun, step, lambda folder: None)
    with pytest.raises(WeightsError, match="it was loaded"):
        local_model(project).start("reuse")


def test_a_finished_run_needs_no_room_and_no_right_to_write(
    with_run,
    monkeypatch,
):
    def refuse(*_):
        raise CheckpointError("a read-only disk")

    monkeypatch.setattr(disk_room, "check_writable", refuse)
    model = local_model(with_run)
    model.start("reuse")
    assert model.is_fine_tuned


def test_bad_data_is_found_without_loading_weights(project):
    model = local_model(project, data_path="missing.json")
    with pytest.raises(DatasetError, match="missing.json"):
        model.read_data()
    assert model._base is None


def test_what_the_device_cannot_do_is_found_without_loading_weights(project):
    offloading = fine_tuning(activation_offloading=True)
    model = local_model(project, fine_tune_config=offloading)
    with pytest.raises(ConfigError) as caught:
        model.read_data()
    assert caught.value.where == "fine_tune_config.training_args"
    assert caught.value.problems == [
        "activation_offloading: wanted false on a CPU, found true",
    ]
    assert model._base is None


def test_data_must_be_named_somewhere(project):
    model = local_model(project, data_path=None)
    with pytest.raises(ConfigError, match="data_path is missing"):
        model.read_data()


def test_sources_of_the_config_and_of_the_caller_are_read_alike(project):
    (project / "faq.csv").write_text("q,a\nWhere?,Here.\n")
    sources = ["data.json", {"path": "faq.csv", "weight": 2}]
    fine_tuning = {
        "columns": {"prompt": "q", "completion": "a"},
        "held_out_rows": 0,
    }
    sources[0] = {"path": "data.json", "columns": {}}
    configured = local_model(
        project,
        data_path=sources,
        fine_tune_config=fine_tuning,
    ).read_data()
    given = local_model(project).read_data(sources, fine_tuning)
    assert given == configured
    assert given.source == "data.json, faq.csv"
    assert given.formats == {"lima": 8, "prompt_completion": 1}
    assert len(given.train) == 10
