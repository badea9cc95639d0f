# -*- coding: utf-8 -*-
"""A finished run: what identifies it and what its folder holds."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_hub import answering
from tiny_agents import FINE_TUNING
from tiny_models import conversation, make_tokenizer

from local_llm import atomic_files, reports, runs
from local_llm.adapters import add_adapter, load_adapter
from local_llm.base_model import use_tokenizer
from local_llm.chat_datasets import ChatData, Drop, SourceRows
from local_llm.errors import CheckpointError
from local_llm.library_defaults import DEFAULT_QUANTIZATION
from local_llm.reports import Reply
from local_llm.settings import FineTuneSettings
from local_llm.surroundings import Surroundings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import TrainingResult
from local_llm.training_rows import render_rows

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = FineTuneSettings(
    lora_config={"r": 4},
    training_args={"max_steps": 2},
)
DATA = ChatData(
    train=(conversation("Hi", "Hello."),),
    held_out=(conversation("Bye", "Goodbye."),),
    drops=(Drop("row 3", "empty turn"), Drop("row 4", "empty turn")),
    formats={"lima": 2},
    source="data.json",
    fingerprint="d1",
    sources=(SourceRows("data.json", "/x/data.json", 1, 1, 1),),
)
IN_WORDS = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: "
    "{{ message['content'] }}<end_of_turn>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def data_from(*origins: str) -> ChatData:
    """The data, as if it came from these."""
    sources = (SourceRows(one, one, 1, 1, 1) for one in origins)
    return replace(DATA, source=", ".join(origins), sources=tuple(sources))


def surroundings(folder: Path = Path("/")) -> Surroundings:
    return Surroundings(folder=folder, cache=folder)


def result_of(base, **changes) -> TrainingResult:
    """What a run of one conversation did."""
    result = TrainingResult(
        losses=[(1, 6.5), (2, 5.0)],
        held_out_before=6.0,
        held_out_after=4.0,
        steps=2,
        tokens_seen=100,
        seconds=4.0,
        peak_memory_bytes=7,
        train_rows=render_rows(base.chat_format, DATA.train, 100),
        held_out_rows=render_rows(base.chat_format, DATA.held_out, 100),
    )
    return replace(result, **changes)


def report_of(base, **replies):
    """The report of a run of one conversation."""
    return runs.build_report(
        "k1",
        base,
        DATA,
        SETTINGS,
        result_of(base),
        replies,
        surroundings(),
    )


def test_the_same_run_has_the_same_key(tiny):
    assert runs.run_key(tiny, DATA, SETTINGS, None) == runs.run_key(
        tiny, replace(DATA, source="a copy"), replace(SETTINGS), None
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_config": {"r": 8}},
        {"training_args": {"max_steps": 2, "learning_rate": 1e-3}},
        {"max_seq_length": 512},
        {"bnb_config": {}},
        {"bnb_config": {"load_in_8bit": True}},
    ],
    ids=lambda changes: f"{changes}",
)
def test_other_settings_have_another_key(tiny, changes):
    other = replace(SETTINGS, **changes)
    before = runs.run_key(tiny, DATA, SETTINGS, None)
    assert runs.run_key(tiny, DATA, other, None) != before


def test_the_number_of_processes_changes_the_record_and_not_the_key(
    tiny,
    monkeypatch,
):
    """So that a run of several is used by one, and not resumed by one."""
    alone = runs.run_key(tiny, DATA, SETTINGS, None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert runs.run_key(tiny, DATA, SETTINGS, None) == alone
    assert runs.run_record(tiny, DATA, SETTINGS, None).processes == 2


@pytest.mark.parametrize(
    "training",
    [
        {"logging_steps": 5},
        {"logging_dir": "logs"},
        {"report_to": "tensorboard"},
        {"run_name": "mine"},
        {"project": "ours"},
        {"trackio_space_id": "me/space"},
        {"save_steps": 7},
        {"save_strategy": "epoch"},
        {"save_total_limit": 3},
        {"disable_tqdm": False},
    ],
    ids=str,
)
def test_what_is_logged_saved_or_tracked_changes_no_key(tiny, training):
    other = replace(
        SETTINGS,
        training_args={**SETTINGS.training_args, **training},
    )
    before = runs.run_key(tiny, DATA, SETTINGS, None)
    assert runs.run_key(tiny, DATA, other, None) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"early_stopping_patience": 2},
        {"lora_config": None},
        {"lora_config": {"r": 4, "use_dora": True}},
        {"training_args": {"max_steps": 2, "seed": 3}},
        {"training_args": {"max_steps": 2, "packing": True}},
        {"training_args": {"max_steps": 2, "per_device_train_batch_size": 2}},
        {"training_args": {"max_steps": 2, "gradient_accumulation_steps": 2}},
        {"training_args": {"max_steps": 2, "load_best_model_at_end": True}},
        {"training_args": {"max_steps": 2, "eval_strategy": "steps"}},
    ],
    ids=str,
)
def test_what_changes_the_weights_or_which_are_kept_changes_the_key(
    tiny,
    changes,
):
    other = replace(SETTINGS, **changes)
    before = runs.run_key(tiny, DATA, SETTINGS, None)
    assert runs.run_key(tiny, DATA, other, None) != before


def test_defaults_that_are_named_change_no_key(tiny):
    training = {"max_steps": 2, "learning_rate": 2e-4, "seed": 7}
    named = replace(SETTINGS, training_args=training)
    before = runs.run_key(tiny, DATA, SETTINGS, None)
    assert runs.run_key(tiny, DATA, named, None) == before


def test_naming_the_default_quantization_changes_no_key(tiny):
    named = replace(SETTINGS, bnb_config=dict(DEFAULT_QUANTIZATION))
    before = runs.run_key(tiny, DATA, SETTINGS, None)
    assert runs.run_key(tiny, DATA, named, None) == before


def test_other_data_base_and_start_have_other_keys(tiny):
    other_data = replace(DATA, fingerprint="d2")
    keys = [
        runs.run_key(tiny, DATA, SETTINGS, None),
        runs.run_key(tiny, other_data, SETTINGS, None),
        runs.run_key(tiny, DATA, SETTINGS, "the key of a run"),
        runs.run_key(replace(tiny, fingerprint="b2"), DATA, SETTINGS, None),
    ]
    assert len(set(keys)) == 4


def test_another_template_has_another_key(tiny):
    before = runs.run_key(tiny, DATA, SETTINGS, None)
    tokenizer = make_tokenizer()
    tokenizer.chat_template = IN_WORDS
    use_tokenizer(tiny, tokenizer)
    assert runs.run_key(tiny, DATA, SETTINGS, None) != before


def test_a_report_puts_together_what_the_parts_know(tiny):
    before, after = Reply("um", "length", 9, 1.0), Reply("A.", "stop", 2, 0.5)
    report = report_of(tiny, Why=(before, after))
    assert report.base == {
        "name": tiny.name,
        "fingerprint": tiny.fingerprint,
        "device": "cpu",
        "dtype": "torch.bfloat16",
        "end_of_turn": "<end_of_turn>",
    }
    rows = render_rows(tiny.chat_format, DATA.train, 100)
    assert report.data == {
        "source": "data.json",
        "sources": [
            {
                "name": "data.json",
                "hub_id": None,
                "licence": "unknown",
                "licence_found_in": "",
                "weight": 1,
                "rows": 1,
                "in_epoch": 1,
            },
        ],
        "fingerprint": "d1",
        "summary": DATA.summary(),
        "rows": 2,
        "multi_turn": 0,
        "train_rows": 1,
        "epoch_rows": 1,
        "held_out_rows": 1,
        "formats": {"lima": 2},
        "drops": {"empty turn": 2},
        "drop_places": {"empty turn": ["row 3", "row 4"]},
        "adjustments": {},
        "tokens": rows.tokens,
        "trained_tokens": rows.trained_tokens,
        "trained_share": rows.trained_tokens / rows.tokens,
        "longest_row": rows.tokens,
        "shortened": 0,
        "without_answer": [],
        "held_out_shortened": 0,
        "held_out_without_answer": [],
        "skipped_files": [],
    }
    assert report.settings["training_args"] == {"max_steps": 2}
    assert report.tokens_per_second == 25.0
    (one,) = report.demonstrations
    assert (one.prompt, one.before, one.after) == ("Why", before, after)


def test_a_report_has_the_course_of_the_training(tiny):
    result = result_of(
        tiny,
        held_out_losses=[(0, 6.0), (1, 4.0), (2, 4.5)],
        best_step=1,
        stopped_early=True,
        resumed_at=[1],
        notes=["a note"],
    )
    report = runs.build_report(
        "k1", tiny, DATA, SETTINGS, result, {}, surroundings(), ["a change"]
    )
    assert report.held_out_losses == [[0, 6.0], [1, 4.0], [2, 4.5]]
    assert (report.best_step, report.stopped_early) == (1, True)
    assert (report.resumed_at, report.notes) == ([1], ["a note"])
    assert report.changes == ["a change"]


def test_a_report_names_every_place_of_each_reason(tiny):
    drops = [Drop(f"row {number}", "empty turn") for number in range(9)]
    drops.insert(4, Drop("row 20", "no turns"))
    data = replace(DATA, drops=tuple(drops))
    report = runs.build_report(
        "k1", tiny, data, SETTINGS, result_of(tiny), {}, surroundings()
    )
    assert report.data["drops"] == {"empty turn": 9, "no turns": 1}
    assert report.data["drop_places"] == {
        "empty turn": [f"row {number}" for number in range(9)],
        "no turns": ["row 20"],
    }


def test_a_report_has_the_licences_of_base_and_data(tiny, tmp_path):
    (tmp_path / "data.json").write_text("[]")
    (tmp_path / "LICENSE").write_text("MIT License")
    data = data_from(str(tmp_path / "data.json"))
    card = Path(tiny.name) / "README.md"
    card.write_text("---\nlicense: gemma\n---\n")
    report = runs.build_report(
        "k1", tiny, data, SETTINGS, result_of(tiny), {}, surroundings(tmp_path)
    )
    assert report.licences == {
        "base": "Gemma Terms of Use",
        "base_found_in": str(card),
        "data": "MIT License",
        "data_found_in": str(tmp_path / "LICENSE"),
    }


@pytest.mark.parametrize("name", ["GAIR/lima (test)", "GAIR/lima@v1"])
def test_a_report_has_the_hub_id_and_licence_whatever_part_is_read(
    tiny,
    hub,
    name,
):
    requests = hub(answering(404))
    sources = (SourceRows(name, "GAIR/lima", 1, 1, 1),)
    data = replace(DATA, source=name, sources=sources)
    report = runs.build_report(
        "k1", tiny, data, SETTINGS, result_of(tiny), {}, surroundings()
    )
    (source,) = report.data["sources"]
    assert (source["name"], source["hub_id"]) == (name, "GAIR/lima")
    assert source["licence"].startswith("CC BY-NC-SA")
    assert report.licences["data"] == source["licence"]
    assert requests == []


def test_a_report_has_the_licence_of_each_source_and_asks_once(tiny, hub):
    requests = hub(answering(404))
    data = data_from("GAIR/lima", "/no/such.jsonl", "some/one", "some/one")
    report = runs.build_report(
        "k1", tiny, data, SETTINGS, result_of(tiny), {}, surroundings()
    )
    lima, *others = [one["licence"] for one in report.data["sources"]]
    assert lima.startswith("CC BY-NC-SA")
    assert others == ["unknown"] * 3
    assert report.licences["data"] == f"{lima}; unknown"
    assert report.licences["data_found_in"] == "what is known of GAIR/lima"
    assert len(requests) == 1


def test_a_report_counts_rows_once_however_often_they_are_repeated(tiny):
    talk = conversation("Hi", "Hello.", "And?", "Bye.", where="row 5")
    late = conversation("Hi " * 200, "Hello.", where="row 6")
    train = (*DATA.train, talk, late) * 3
    data = replace(DATA, train=train, formats={"lima": 4}, multi_turn=1)
    result = result_of(
        tiny,
        train_rows=render_rows(tiny.chat_format, train, 100),
        held_out_rows=render_rows(tiny.chat_format, [talk, late], 20),
    )
    report = runs.build_report(
        "k1", tiny, data, SETTINGS, result, {}, surroundings()
    )
    assert (report.data["rows"], report.data["multi_turn"]) == (4, 1)
    assert (report.data["train_rows"], report.data["epoch_rows"]) == (2, 6)
    assert report.data["without_answer"] == ["row 6"]
    assert report.data["held_out_shortened"] == 1
    assert report.data["held_out_without_answer"] == ["row 6"]


def test_a_published_run_has_pages_that_name_its_place(tiny, tmp_path):
    adapter = add_adapter(tiny, FINE_TUNING["lora_config"], seed=1)
    run = tmp_path / "runs" / "one"
    runs.publish(
        AdapterWeights(tiny, adapter), report_of(tiny), run, Path("none")
    )
    assert f'"{run}"' in (run / "report.md").read_text()
    assert ".partial-" not in (run / "report.md").read_text()
    card = (run / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: peft\n")
    assert str(tmp_path) not in card
    assert reports.read_report(run) == report_of(tiny)


@pytest.mark.parametrize("number", [0, 1])
def test_the_snippets_of_the_page_answer(tiny, tmp_path, number):
    adapter = add_adapter(tiny, FINE_TUNING["lora_config"], seed=1)
    run = tmp_path / "run"
    runs.publish(
        AdapterWeights(tiny, adapter), report_of(tiny), run, Path("none")
    )
    page = (run / "report.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(snippets) == 2
    done = subprocess.run(
        [sys.executable, "-c", snippets[number]],
        cwd=PROJECT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_published_run_loads_as_the_adapter_it_was(tiny, tmp_path):
    adapter = add_adapter(tiny, FINE_TUNING["lora_config"], seed=1)
    run = tmp_path / "runs" / "one"
    weights = AdapterWeights(tiny, adapter)
    runs.publish(weights, report_of(tiny), run, tmp_path / "none")
    atomic_files.check_manifest(run)
    again = load_adapter(tiny, run)
    weights = dict(tiny.model.named_parameters())
    pairs = [
        (one, weights[name.replace(f".{adapter}.", f".{again}.")])
        for name, one in weights.items()
        if f".{adapter}." in name
    ]
    assert len(pairs) == 28  # two matrices for seven layers in two blocks
    assert all(bool((one == other).all()) for one, other in pairs)
    config = json.loads((run / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)


def test_a_run_that_cannot_be_published_leaves_no_trace(tiny, tmp_path):
    adapter = add_adapter(tiny, FINE_TUNING["lora_config"], seed=1)
    Path(tmp_path / "file").write_text("in the way")
    place = re.escape(str(tmp_path / "file" / "run"))
    with pytest.raises(CheckpointError, match=place):
        runs.publish(
            AdapterWeights(tiny, adapter),
            report_of(tiny),
            tmp_path / "file" / "run",
            tmp_path / "none",
        )
    assert (tmp_path / "file").read_text() == "in the way"
