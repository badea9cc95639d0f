# -*- coding: utf-8 -*-
"""A finished run: what identifies it and what its folder holds."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_agents import FINE_TUNING
from tiny_models import conversation, make_tokenizer

from local_llm import atomic_files, runs
from local_llm.adapters import add_adapter, load_adapter
from local_llm.base_model import use_tokenizer
from local_llm.chat_datasets import ChatData, Drop
from local_llm.errors import CheckpointError
from local_llm.model_sources import DEFAULT_QUANTIZATION
from local_llm.reports import Reply
from local_llm.settings import FineTuneSettings
from local_llm.training import TrainingResult
from local_llm.training_rows import render_rows

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
)
IN_WORDS = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: "
    "{{ message['content'] }}<end_of_turn>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def report_of(base, **replies):
    """The report of a run of one conversation."""
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
    return runs.build_report("k1", base, DATA, SETTINGS, result, replies)


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
    }
    rows = render_rows(tiny.chat_format, DATA.train, 100)
    assert report.data == {
        "source": "data.json",
        "fingerprint": "d1",
        "summary": DATA.summary(),
        "formats": {"lima": 2},
        "drops": {"empty turn": 2},
        "tokens": rows.tokens,
        "trained_tokens": rows.trained_tokens,
        "shortened": 0,
        "without_answer": [],
    }
    assert report.settings["training_args"] == {"max_steps": 2}
    assert report.tokens_per_second == 25.0
    (one,) = report.demonstrations
    assert (one.prompt, one.before, one.after) == ("Why", before, after)


def test_a_published_run_loads_as_the_adapter_it_was(tiny, tmp_path):
    adapter = add_adapter(tiny, FINE_TUNING["lora_config"], seed=1)
    run = tmp_path / "runs" / "one"
    runs.publish(tiny, adapter, report_of(tiny), run)
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
        runs.publish(tiny, adapter, report_of(tiny), tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "in the way"
