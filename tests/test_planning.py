# -*- coding: utf-8 -*-
"""A plan says what a run will do, without a weight being read."""

import dataclasses
import gc
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import SetHub, hub_with_files
from safetensors.torch import load_file
from tiny_program import entry, set_up

from local_llm import base_model, planning
from local_llm.errors import ConfigError, DatasetError, TrainingError
from local_llm.local_model import LocalModel
from local_llm.planning import plan_run, preview_run
from local_llm.settings import ModelSettings, parse_settings
from local_llm.surroundings import Listener, Surroundings


@pytest.fixture(name="surroundings")
def fixture_surroundings(tmp_path: Path, tiny_folder: Path) -> Surroundings:
    set_up(tmp_path, tiny_folder)
    return Surroundings(tmp_path, tmp_path / "cache")


@pytest.fixture(name="settings")
def fixture_settings(tiny_folder: Path) -> ModelSettings:
    return settings_of(tiny_folder)


def settings_of(model: Path, **changes: Any) -> ModelSettings:
    """Of the tiny program; `changes` are those of `fine_tune_config`."""
    raw = entry("tiny", model)
    arguments = changes.pop("training_args", {})
    raw["fine_tune_config"]["training_args"] |= arguments
    raw["fine_tune_config"] |= changes
    return parse_settings(raw, "a test")


def test_a_plan_and_a_preview_read_no_weights(
    monkeypatch: pytest.MonkeyPatch,
    settings: ModelSettings,
    surroundings: Surroundings,
) -> None:
    monkeypatch.setattr(base_model, "load_weights", None)
    assert plan_run(settings, surroundings).rows.rows
    assert preview_run(settings, surroundings, 1).shown


def test_of_a_model_of_the_hub_no_weights_are_fetched(
    hub: SetHub,
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    files = {one.name: one.read_bytes() for one in tiny_folder.iterdir()}
    requests = hub(hub_with_files("someone/gemma", files))
    raw = {
        **entry("tiny", tiny_folder),
        "pretrained_model_name_or_path": "someone/gemma",
    }
    del raw["local_model_path"]
    plan = plan_run(parse_settings(raw, "a test"), surroundings)
    assert plan.model == "someone/gemma"
    fetched = {one.url.path.rpartition("/")[2] for one in requests}
    assert {"config.json", "tokenizer.json"} <= fetched
    assert not any(name.endswith(".safetensors") for name in fetched)


def test_steps_and_tokens_of_a_plan_are_those_of_the_run(
    settings: ModelSettings,
    surroundings: Surroundings,
) -> None:
    plan = plan_run(settings, surroundings)
    model = LocalModel(settings, surroundings)
    data = model.read_data()
    model.load_model()
    report = model.fine_tune(data)
    assert plan.schedule.steps == report.steps
    assert plan.rows.tokens == report.data["tokens"]
    assert plan.rows.trained_tokens == report.data["trained_tokens"]
    assert plan.longest_row == max(
        len(one["input_ids"]) for one in plan.rows.rows
    )
    assert plan.data == f"{data.source}: {data.summary()}"


def test_a_small_run_fits_and_may_begin(settings, surroundings) -> None:
    plan = plan_run(settings, surroundings)
    assert all(one.fits for one in plan.fits)
    assert plan.changes == ()
    plan.require_fit()


def test_the_tightest_comes_first(settings, surroundings) -> None:
    plan = plan_run(settings, surroundings)
    assert {one.what for one in plan.fits} == {"memory", "disk"}
    assert plan.fits[0].share >= plan.fits[1].share


def test_a_run_without_memory_is_refused_with_what_to_change(
    monkeypatch: pytest.MonkeyPatch,
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    monkeypatch.setattr(planning, "free_memory_bytes", lambda device: 1 << 20)
    plan = plan_run(settings_of(tiny_folder), surroundings)
    assert plan.is_checkpointed
    with pytest.raises(TrainingError, match="memory needs .* are free") as it:
        plan.require_fit()
    assert "per_device_train_batch_size 1" in str(it.value.fix)
    assert "a smaller model" in str(it.value.fix)
    assert it.value.exit_code == 3


def test_a_run_without_disk_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    settings: ModelSettings,
    surroundings: Surroundings,
) -> None:
    monkeypatch.setattr(planning, "free_bytes", lambda folder: 1000)
    plan = plan_run(settings, surroundings)
    assert plan.fits[0].what == "disk"
    with pytest.raises(TrainingError, match="disk needs") as it:
        plan.require_fit()
    assert "output_dir" in str(it.value.fix)


def test_the_best_weights_take_room_in_each_of_three_checkpoints(
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    last, best = (
        plan_run(
            settings_of(
                tiny_folder,
                training_args={
                    "save_strategy": "steps",
                    "eval_strategy": "steps",
                    "load_best_model_at_end": kept,
                },
            ),
            surroundings,
        )
        for kept in (False, True)
    )
    trained = last.shape.trained_bytes
    assert last.disk.checkpoints == 3 * (1 + 2) * trained
    assert best.disk.checkpoints == 3 * (2 + 2) * trained


def test_the_disk_is_that_of_the_output_folder(tmp_path: Path) -> None:
    free = planning.free_bytes(tmp_path / "not" / "there" / "yet")
    assert free == pytest.approx(planning.free_bytes(tmp_path), rel=0.1)


def test_whole_weights_without_an_adapter_are_all_trained(
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    plan = plan_run(
        settings_of(tiny_folder, bnb_config={}, lora_config=None), surroundings
    )
    assert plan.shape.trained == plan.shape.weights
    assert plan.memory.adapter == 0


def weight_bytes_in_memory() -> int:
    """Of all large tensors of this process that own their numbers."""
    storages = {
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
        for one in gc.get_objects()
        if isinstance(one, torch.Tensor) and one.device.type == "cpu"
    }
    return sum(size for size in storages.values() if size > 1000)


def test_whole_weights_are_in_memory_as_often_as_a_plan_says(
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    """As they were asked, in training, the best, and twice by AdamW."""
    settings = settings_of(
        shutil.copytree(tiny_folder, surroundings.folder / "own model"),
        lora_config=None,
        training_args={"eval_strategy": "steps", "eval_steps": 1},
    )
    memory = plan_run(settings, surroundings).memory
    found: list[int] = []
    model = LocalModel(settings, surroundings)
    model.listen(
        Listener(on_step=lambda _: found.append(weight_bytes_in_memory())),
    )
    data = model.read_data()
    gc.collect()
    before = weight_bytes_in_memory()
    model.load_model()
    model.fine_tune(data)
    planned = memory.weights + memory.kept + memory.optimizer
    assert planned == 5 * memory.weights
    assert max(found) - before == pytest.approx(planned, rel=0.1)


def test_whole_weights_with_an_adapter_are_not(
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    settings = settings_of(tiny_folder, bnb_config={}, lora_config={"r": 4})
    plan = plan_run(settings, surroundings)
    assert plan.shape.trained < plan.shape.weights / 2


# -- an adapter that is trained further ---------------------------------------


@pytest.fixture(name="run")
def fixture_run(tiny_folder: Path, surroundings: Surroundings) -> Path:
    """A finished run with an adapter of its own kind."""
    lora_config = {"r": 3, "target_modules": ["q_proj", "down_proj"]}
    settings = settings_of(tiny_folder, lora_config=lora_config)
    model = LocalModel(settings, surroundings)
    model.load_model()
    model.fine_tune(model.read_data())
    return model.output_folder()


def continuing(run: Path, lora_config: Any = None) -> ModelSettings:
    """Settings that name the run and train its adapter further."""
    return settings_of(
        run,
        lora_config=lora_config,
        continue_lora_finetuning=True,
    )


def test_an_adapter_that_is_trained_further_is_counted_to_the_byte(
    run: Path,
    surroundings: Surroundings,
) -> None:
    tensors = load_file(run / "adapter_model.safetensors")
    plan = plan_run(continuing(run), surroundings)
    assert plan.memory.adapter == sum(one.nbytes for one in tensors.values())
    assert plan.memory.optimizer == 2 * plan.memory.adapter


def test_the_preview_of_an_adapter_is_that_of_the_model_below_it(
    run: Path,
    settings: ModelSettings,
    surroundings: Surroundings,
) -> None:
    below = preview_run(settings, surroundings, 2)
    assert preview_run(continuing(run), surroundings, 2) == below


def test_a_plan_refuses_another_lora_config_than_the_adapters(
    run: Path,
    surroundings: Surroundings,
) -> None:
    with pytest.raises(ConfigError, match="r: the adapter to continue has 3"):
        plan_run(continuing(run, {"r": 8}), surroundings)


def test_a_plan_refuses_to_continue_what_is_not_there(
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    with pytest.raises(ConfigError, match="no adapter is in use"):
        plan_run(continuing(tiny_folder), surroundings)


# -- what is shared, and what is missing --------------------------------------


def test_processes_on_a_cpu_share_its_memory(settings, surroundings) -> None:
    one, four = (
        next(fit.free for fit in plan.fits if fit.what == "memory")
        for plan in (plan_run(settings, surroundings, n) for n in (1, 4))
    )
    assert four == pytest.approx(one / 4, rel=0.2)


def test_a_preview_counts_all_rows_and_shows_some(
    settings: ModelSettings,
    surroundings: Surroundings,
) -> None:
    preview = preview_run(settings, surroundings, 2)
    assert len(preview.shown) == 2
    assert len(preview.rows.rows) == 10
    assert "12 rows" in preview.source


def test_rows_too_long_for_any_answer_are_an_error_of_the_data(
    tiny_folder: Path,
    surroundings: Surroundings,
) -> None:
    settings = settings_of(tiny_folder, max_seq_length=16)
    with pytest.raises(DatasetError, match="within 16 tokens"):
        plan_run(settings, surroundings)


@pytest.mark.parametrize("look", [plan_run, lambda *a: preview_run(*a, 1)])
def test_strict_data_refuses_a_row_whose_answer_is_too_far_in(
    tiny_folder: Path,
    tmp_path: Path,
    surroundings: Surroundings,
    look: Any,
) -> None:
    path = tmp_path / "data.json"
    late = {"conversations": ["What? " * 200, "Nothing."]}
    path.write_text(json.dumps([*json.loads(path.read_text()), late]))
    look(settings_of(tiny_folder), surroundings)
    with pytest.raises(DatasetError) as caught:
        look(settings_of(tiny_folder, strict_data=True), surroundings)
    assert caught.value.message == (
        "data.json row 13: no answer within 128 tokens"
    )


def test_without_data_there_is_nothing_to_plan(settings, surroundings) -> None:
    settings = dataclasses.replace(settings, data_path=None)
    with pytest.raises(ConfigError, match="data_path"):
        plan_run(settings, surroundings)
