# -*- coding: utf-8 -*-
"""What is trained is what was asked: all weights, or an adapter further."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_agents import FINE_TUNING, TRAINING, local_model, write_rows
from tiny_agents import wrapper as make_wrapper
from transformers import AutoModelForCausalLM, AutoTokenizer

from huggingface_model import HuggingFaceWrapper
from local_llm import fine_tuning as fine_tuning_module
from local_llm.adapter_files import ADAPTER_FILE, BASE_FILE
from local_llm.adapters import adapter_parameters, peft_model
from local_llm.errors import ConfigError, TrainingError
from local_llm.local_model import LocalModel
from local_llm.reports import RunReport, read_report
from local_llm.resume_rules import RunRecord

QUESTION = "Question 3?"
FULL: dict[str, Any] = {
    "held_out_rows": 2,
    "training_args": {**TRAINING, "learning_rate": 5e-3},
}
CONTINUED: dict[str, Any] = {
    "held_out_rows": 2,
    "continue_lora_finetuning": True,
    "training_args": {**TRAINING, "max_steps": 2},
}


def loaded(project: Path, **changes: Any) -> LocalModel:
    model = local_model(project, **changes)
    model.load_model()
    return model


def tuned(model: LocalModel, **more: Any) -> RunReport:
    return model.fine_tune(model.read_data(), **more)


def said(model: LocalModel) -> str:
    return model.reply(QUESTION).text


def weights_of(model: LocalModel) -> dict[str, torch.Tensor]:
    return {
        name: one.detach().clone()
        for name, one in model.base.model.named_parameters()
    }


@pytest.fixture(name="finished", scope="module")
def fixture_finished(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """With runs of all weights, `whole`, and of an adapter, `adapter`."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_folder, folder / "model")
    write_rows(folder / "data.json")
    tuned(loaded(folder, fine_tune_config=FULL), output_dir="whole")
    tuned(loaded(folder), output_dir="adapter")
    return folder


@pytest.fixture(name="runs")
def fixture_runs(finished: Path, tmp_path: Path) -> Path:
    """A project of its own with both runs."""
    return shutil.copytree(finished, tmp_path / "project")


# -- all weights ----------------------------------------------------------


def test_every_weight_changes_and_others_keep_the_old_ones(
    project: Path,
) -> None:
    model, other = (loaded(project, fine_tune_config=FULL) for _ in range(2))
    assert model.base is other.base
    assert model.base.model.dtype == torch.float32
    before, untuned = weights_of(other), said(other)
    tuned(model, before={QUESTION: model.reply(QUESTION)})
    after = weights_of(model)
    assert after.keys() == before.keys()
    assert {one.dtype for one in after.values()} == {torch.float32}
    assert [k for k in after if torch.equal(after[k], before[k])] == []
    kept = weights_of(other)
    assert all(torch.equal(kept[name], before[name]) for name in before)
    assert said(other) == untuned != said(model)
    (one,) = model.report.demonstrations
    assert (one.before.text, one.after.text) == (untuned, said(model))
    assert model.is_fine_tuned
    assert model.base.name == str(project / "run")


def test_the_run_is_a_model_of_transformers_that_answers_alike(
    runs: Path,
) -> None:
    folder = runs / "whole"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "report.json",
        "manifest.json",
    }
    assert ADAPTER_FILE not in names and "adapter_config.json" not in names
    report = read_report(folder)
    assert report.is_whole_model
    assert report.held_out_after < report.held_out_before / 2
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    out = model.generate(**ids, max_new_tokens=12, do_sample=False)
    reply = out[0, ids["input_ids"].shape[1] :]
    text = tokenizer.decode(reply, skip_special_tokens=True).strip()
    own = loaded(runs, fine_tune_config=FULL, output_dir="whole")
    own.ensure_fine_tuned(own.read_data())
    assert text == said(own)


def test_the_next_start_uses_the_run(
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fine_tuning_module, "train", None)
    model = loaded(runs, fine_tune_config=FULL, output_dir="whole")
    report = model.ensure_fine_tuned(model.read_data())
    assert report == read_report(runs / "whole")
    assert model.base.name == str(runs / "whole")
    again = model.use_finished_run(model.read_data())
    assert again == report  # also where the tuned model is in use


def test_a_second_run_starts_afresh(runs: Path) -> None:
    model = loaded(runs, fine_tune_config=FULL, output_dir="whole")
    first = model.ensure_fine_tuned(model.read_data())
    second = tuned(model)
    assert second.key == first.key
    assert second.losses == first.losses


def test_an_adapter_on_a_tuned_model_says_so(runs: Path) -> None:
    model = loaded(runs, fine_tune_config=FULL, output_dir="whole")
    model.ensure_fine_tuned(model.read_data())
    changes = {"lora_config": {"r": 2}}
    tuned(model, fine_tune_config=changes, output_dir="on top")
    record = json.loads((runs / "on top" / BASE_FILE).read_text())
    assert record["name"] == str(runs / "whole")
    plain = loaded(runs)
    assert record["fingerprint"] != plain.base.fingerprint


def test_settings_of_an_adapter_may_ask_for_all_weights_in_a_call(
    project: Path,
) -> None:
    model = loaded(project)
    changes = {"lora_config": None, "training_args": FULL["training_args"]}
    report = tuned(model, fine_tune_config=changes)
    assert report.is_whole_model
    assert report.base["dtype"] == "torch.float32"
    assert model.base.model.dtype == torch.float32


def test_quantized_weights_are_not_trained(project: Path) -> None:
    bnb = {"load_in_4bit": True}
    model = loaded(
        project,
        fine_tune_config={**FINE_TUNING, "bnb_config": bnb},
    )
    before = said(model)
    with pytest.raises(ConfigError, match="bnb_config.load_in_4bit: quant"):
        tuned(model, fine_tune_config={"lora_config": None})
    assert said(model) == before


def test_a_run_of_all_weights_that_fails_leaves_the_old_model(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any) -> None:
        raise TrainingError("out of luck")

    monkeypatch.setattr(fine_tuning_module, "train", fail)
    model = loaded(project, fine_tune_config=FULL)
    base, before = model.base, said(model)
    with pytest.raises(TrainingError, match="out of luck"):
        tuned(model)
    assert model.base is base and not model.is_fine_tuned
    assert said(model) == before
    assert not (project / "run").exists()


# -- an adapter further ---------------------------------------------------


def peft_folder(runs: Path) -> Path:
    """The same adapter as others would have written it."""
    folder = runs / "theirs"
    folder.mkdir()
    shutil.copy(runs / "adapter" / ADAPTER_FILE, folder)
    text = (runs / "adapter" / "adapter_config.json").read_text()
    config = {**json.loads(text), "base_model_name_or_path": "model"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("source", ["adapter", "theirs"])
def test_an_adapter_is_trained_further_with_its_own_configuration(
    runs: Path,
    source: str,
) -> None:
    peft_folder(runs)
    model = loaded(
        runs,
        local_model_path=source,
        fine_tune_config=CONTINUED,
        output_dir="further",
    )
    before = said(model)
    assert model.is_fine_tuned
    first = read_report(runs / "adapter")
    report = model.ensure_fine_tuned(model.read_data())
    assert report.held_out_before == pytest.approx(
        first.held_out_after, rel=1e-5
    )
    assert report.losses[0][1] < first.losses[0][1] / 2
    (config,) = peft_model(model.base).peft_config.values()
    assert (config.r, config.lora_alpha) == (4, 8)
    assert said(loaded(runs, local_model_path=source)) == before
    saved = json.loads((runs / "further/adapter_config.json").read_text())
    assert saved["r"] == 4


def test_the_next_start_uses_the_run_that_went_on(
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peft_folder(runs)
    changes = {
        "local_model_path": "theirs",
        "fine_tune_config": CONTINUED,
        "output_dir": "further",
    }
    model = loaded(runs, **changes)
    report = model.ensure_fine_tuned(model.read_data())
    monkeypatch.setattr(fine_tuning_module, "train", None)
    again = loaded(runs, **changes)
    assert again.ensure_fine_tuned(again.read_data()) == report
    assert said(again) == said(model)


def test_another_adapter_to_go_on_from_makes_another_run(runs: Path) -> None:
    folder, keys = peft_folder(runs), []
    for _ in range(2):
        model = loaded(
            runs,
            local_model_path="theirs",
            fine_tune_config=CONTINUED,
        )
        data = model.read_data()
        keys.append(model._run_key(data, model.settings.fine_tune_config))
        for parameter in adapter_parameters(
            model.base, model._adapter
        ).values():
            parameter.data *= 2
        peft_model(model.base).save_pretrained(runs / "saved")
        shutil.copy(runs / "saved" / model._adapter / ADAPTER_FILE, folder)
    assert keys[0] != keys[1]


def test_a_wrapper_goes_on_from_an_adapter_in_its_config(runs: Path) -> None:
    config = {
        "config_name": "further",
        "model_type": "huggingface",
        "local_model_path": "adapter",
        "data_path": "data.json",
        "output_dir": "further",
        "device": "cpu",
        "max_length": 12,
        "fine_tune_config": CONTINUED,
    }
    (runs / "configs").mkdir()
    file = runs / "configs" / "model_configs.json"
    file.write_text(json.dumps([config]))
    model = HuggingFaceWrapper.from_config("further", file)
    first = read_report(runs / "adapter")
    assert model.local.report == read_report(runs / "further")
    assert model.local.report.held_out_before == pytest.approx(
        first.held_out_after, rel=1e-5
    )
    chatting = make_wrapper(runs, {**config, "data_path": None})
    chatting.load_model()
    assert said(chatting.local) == said(
        loaded(runs, local_model_path="adapter")
    )


def test_another_lora_config_is_refused_by_its_keys(runs: Path) -> None:
    model = loaded(runs, local_model_path="adapter")
    before = said(model)
    adapters = list(peft_model(model.base).peft_config)
    lora = {"r": 8, "lora_alpha": 8, "target_modules": "all-linear"}
    with pytest.raises(ConfigError) as caught:
        tuned(model, fine_tune_config={**CONTINUED, "lora_config": lora})
    assert caught.value.problems == [
        "r: the adapter to continue has 4, found 8",
    ]
    assert "leave lora_config out" in str(caught.value.fix)
    assert said(model) == before
    assert list(peft_model(model.base).peft_config) == adapters


def test_nothing_to_go_on_from_is_an_error(project: Path) -> None:
    model = loaded(project)
    changes = {**CONTINUED, "lora_config": None}
    with pytest.raises(ConfigError, match="no adapter is in use to continue"):
        tuned(model, fine_tune_config=changes)


RECORD = RunRecord(
    base="b",
    data="d",
    first_row=[1, 2],
    lora_config=None,
    bnb_config=None,
    training_args={"max_steps": 5},
    options={"number_format": "torch.bfloat16"},
    libraries={"torch": "2.13"},
)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"data": "other"}, "data"),
        ({"training_args": {"max_steps": 6}}, "training_args"),
        ({"options": {"number_format": "torch.float32"}}, "number_format"),
    ],
)
def test_a_process_with_another_run_than_the_main_one_is_refused(
    changes: dict[str, Any],
    name: str,
) -> None:
    with pytest.raises(ConfigError) as caught:
        fine_tuning_module._check_same(replace(RECORD, **changes), RECORD)
    assert caught.value.problems == [f"{name}: is not the main process's"]


def test_other_versions_of_the_libraries_may_train_together() -> None:
    newer = replace(RECORD, libraries={"torch": "2.14"})
    fine_tuning_module._check_same(newer, RECORD)
