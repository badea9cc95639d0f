# -*- coding: utf-8 -*-
"""The settings of a config: what is accepted, and what every fault is told.

The faults are a table; each row is one promise to someone who edits a file.
"""

import copy
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fresh_process import loaded_after
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpha_umi.tool_agent_settings import parse_tool_agent_settings
from local_llm.errors import ConfigError, LocalLLMError
from local_llm.served_settings import parse_served_settings
from local_llm.settings import (
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
    load_all_settings,
    load_settings,
    parse_fine_tune_config,
    parse_settings,
    project_folder,
    resolve_path,
)

PROJECT = Path(__file__).resolve().parent.parent
SHIPPED = PROJECT / "configs" / "model_configs.json"
CANARY = "hf_CANARY0123456789abcdefghijklmnop"
Parser = Callable[[dict[str, Any], str], object]
PARSERS: dict[str, Parser] = {
    "huggingface": parse_settings,
    "openai_chat": parse_served_settings,
    "alpha_umi": parse_tool_agent_settings,
}
HEAVY = ("torch", "transformers", "trl", "peft", "agentscope", "datasets")


def entry(**changes: Any) -> dict[str, Any]:
    """A small right entry with changes; a path is written a__b__c."""
    raw: dict[str, Any] = {
        "config_name": "small",
        "model_type": "huggingface",
        "pretrained_model_name_or_path": "google/gemma-7b",
        "fine_tune_config": {
            "lora_config": {"r": 16},
            "training_args": {"learning_rate": 2e-4},
            "bnb_config": {"load_in_4bit": True},
        },
        "generation": {},
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = raw
        for parent in parents:
            place = place[parent]
        place[key] = value
    return raw


def problems_of(raw: Any) -> list[str]:
    """The problems of an entry that must have some."""
    with pytest.raises(ConfigError) as caught:
        parse_settings(raw, "here")
    return caught.value.problems


LORA = "fine_tune_config__lora_config__"
TRAINING = "fine_tune_config__training_args__"
BNB = "fine_tune_config__bnb_config__"

FAULTS = [
    # unknown keys, with the nearest known one
    (
        LORA + "lora_alhpa",
        32,
        "lora_config.lora_alhpa: unknown key 'lora_alhpa', did you mean "
        "'lora_alpha'?",
    ),
    (TRAINING + "learning_rat", 1e-4, "did you mean 'learning_rate'?"),
    (BNB + "load_in_4bits", True, "did you mean 'load_in_4bit'?"),
    (BNB + "xyzzyxyzzy", 1, "no field of transformers' BitsAndBytesConfig"),
    ("outptu_dir", "runs", "did you mean 'output_dir'?"),
    ("generation__top_q", 1.0, "did you mean 'top_p'?"),
    ("temprature", 0.5, "did you mean 'temperature' in generation?"),
    ("qqqqqqqq", 1, "the keys are config_name, model_type"),
    # known keys in the wrong place
    ("temperature", 0.5, "it belongs in generation"),
    ("fine_tune_config__lora_alpha", 1, "it belongs in fine_tune_config.lora"),
    ("optim", "sgd", "it belongs in fine_tune_config.training_args"),
    # old names
    ("model_id", "google/gemma-7b", "today it is pretrained_model_name_or"),
    ("generation__max_new_tokens", 9, "today it is max_length at the top"),
    (TRAINING + "max_seq_length", 512, "fine_tune_config.max_seq_length"),
    (TRAINING + "tokenizer", "x", "processing_class"),
    (TRAINING + "evaluation_strategy", "no", "today it is eval_strategy"),
    (TRAINING + "warmup_ratio", 0.1, "today it is warmup_steps"),
    # what the package keeps to itself
    (TRAINING + "output_dir", "runs", "output_dir at the top level"),
    (TRAINING + "max_length", 512, "set fine_tune_config.max_seq_length"),
    (TRAINING + "push_to_hub", True, "uploads nothing"),
    (TRAINING + "trust_remote_code", True, "code is never run"),
    (TRAINING + "assistant_only_loss", True, "token ids itself"),
    (LORA + "inference_mode", True, "does not train"),
    # strings where numbers or booleans are wanted
    (
        TRAINING + "learning_rate",
        "2e-4",
        "wanted a number above 0 and at most 1, found the string '2e-4'; "
        "write the number without quotes",
    ),
    (TRAINING + "per_device_train_batch_size", "4", "wanted an integer"),
    (TRAINING + "packing", "False", "write false without quotes"),
    (BNB + "load_in_4bit", "true", "wanted true or false, found the string"),
    (BNB + "load_in_4bit", "yes", "wanted true or false"),
    (BNB + "load_in_4bit", 1, "wanted true or false, found 1"),
    ("stream", "True", "write true without quotes"),
    ("fine_tune_config__strict_data", "TRUE", "write true without quotes"),
    # booleans where integers are wanted, and the other way
    (LORA + "r", True, "lora_config.r: wanted an integer at least 1 and at"),
    ("max_length", True, "wanted an integer"),
    ("max_length", 1.0, "wanted an integer"),
    ("generation__seed", False, "wanted an integer"),
    # ranges
    (LORA + "r", -1, "at least 1 and at most 8192, found -1"),
    (LORA + "r", 0, "at least 1"),
    (LORA + "lora_alpha", 0, "above 0"),
    (LORA + "lora_dropout", 7, "at least 0 and below 1"),
    (LORA + "lora_dropout", 1.0, "at least 0 and below 1"),
    (LORA + "bias", "some", "wanted 'none', found the string 'some'"),
    (LORA + "bias", "all", "lora_config.bias: wanted 'none', found"),
    (LORA + "init_lora_weights", "pissa", "wanted true, false or 'gaussian'"),
    (LORA + "layer_replication", [[0, 1]], "it would change the base model"),
    (LORA + "eva_config", {}, "not prepared for it here"),
    (LORA + "r", 8193, "at most 8192"),
    (LORA + "rank_pattern", {"q_proj": "4"}, "an object of integers"),
    (LORA + "target_modules", "(", "target_modules: is no regular expr"),
    (LORA + "exclude_modules", "*", "exclude_modules: is no regular expr"),
    (TRAINING + "packing_strategy", "wrapped", "wanted one of 'bfd'"),
    (LORA + "task_type", "SEQ_CLS", "wanted 'CAUSAL_LM'"),
    (LORA + "target_modules", [1], "a list of strings"),
    (TRAINING + "learning_rate", -1, "above 0"),
    (TRAINING + "learning_rate", 0, "above 0"),
    (TRAINING + "learning_rate", 2, "at most 1"),
    (TRAINING + "num_train_epochs", float("nan"), "a finite number"),
    (TRAINING + "num_train_epochs", float("inf"), "a finite number"),
    (TRAINING + "num_train_epochs", 0, "above 0"),
    (TRAINING + "max_steps", 0, "-1 or at least 1"),
    (TRAINING + "max_steps", -2, "-1 or at least 1"),
    (TRAINING + "per_device_train_batch_size", 0, "at least 1"),
    (TRAINING + "gradient_accumulation_steps", 0, "at least 1"),
    (TRAINING + "weight_decay", -0.1, "at least 0"),
    (TRAINING + "warmup_steps", -1, "at least 0"),
    (TRAINING + "max_grad_norm", -1, "at least 0"),
    (TRAINING + "logging_steps", 0, "above 0"),
    (TRAINING + "seed", 2**32, "at most 4294967295"),
    pytest.param(
        TRAINING + "seed",
        10**5000,
        "at most 19 digits",
        id="5,000 digits",
    ),
    (TRAINING + "lr_scheduler_type", "cosin", "'cosine'"),
    (TRAINING + "torch_empty_cache_steps", 0, "at least 1"),
    (TRAINING + "pad_to_multiple_of", "8", "write the number without quotes"),
    (TRAINING + "log_level", "loud", "'critical'"),
    (TRAINING + "report_to", "tensorbord", "'tensorboard'"),
    (TRAINING + "report_to", ["x"], "a list of "),
    (TRAINING + "debug", "x", "'underflow_overflow'"),
    (TRAINING + "optim_args", "x", "'betas=0.9,eps=1e-8'"),
    (TRAINING + "lr_scheduler_kwargs", "x", "an object or null"),
    (TRAINING + "accelerator_config", "x", "`accelerate launch` sets it"),
    (TRAINING + "fsdp", "x", "whole on each device"),
    (TRAINING + "optim", "adam", "'adamw_torch'"),
    (BNB + "bnb_4bit_quant_type", "nf5", "'nf4', 'fp4'"),
    (BNB + "bnb_4bit_compute_dtype", "bf16", "'bfloat16'"),
    (BNB + "bnb_4bit_compute_dtype", "torch.torch.bfloat16", "'bfloat16'"),
    ("generation__temperature", 1e-300, "at least 0.01 and at most 2"),
    ("generation__temperature", 2.1, "at least 0.01 and at most 2"),
    ("generation__top_p", 0, "above 0 and at most 1"),
    ("generation__top_k", -1, "at least 0"),
    ("generation__repetition_penalty", 0.9, "at least 1 and at most 2"),
    ("generation__request_timeout_s", 0, "above 0"),
    ("generation__request_timeout_s", 1e300, "at most 604800"),
    ("max_length", 0, "at least 1 and at most 32768"),
    ("max_length", 32769, "at least 1 and at most 32768"),
    ("fine_tune_config__max_seq_length", 15, "at least 16"),
    ("fine_tune_config__held_out_share", 0.5, "at least 0 and below 0.5"),
    ("device", "gpu", "'cpu', 'cuda', 'cuda:N' or 'mps'"),
    ("device", "cuda:x", "'cuda:N'"),
    ("config_name", "a b", "1 to 64 letters"),
    ("config_name", "a" * 65, "1 to 64 letters"),
    ("config_name", "..", "not dots alone"),
    ("pretrained_model_name_or_path", "embedded:x", "embedded:gemma-3-270m"),
    ("pretrained_model_name_or_path", "./gemma", "local_model_path"),
    ("pretrained_model_name_or_path", "m/gemma.gguf", "local_model_path"),
    ("output_dir", " ", "text that is not blank"),
    ("data_path", "a\0b", "readable text"),
    ("system_prompt", "\ud800", "readable text"),
    ("demonstration_prompts", "hello", "a list of strings"),
    # other shapes
    ("fine_tune_config", [], "fine_tune_config: wanted an object or null"),
    ("generation", 3, "generation: wanted an object, found 3"),
    ("model_type", 5, "wanted 'huggingface'"),
    ("model_type", "dashscope_chat", "another program reads it"),
    ("model_type", "alpha_umi", "small_llms.py runs it"),
]


@pytest.mark.parametrize(("path", "value", "text"), FAULTS)
def test_a_fault_is_told_with_its_key_and_what_is_wanted(
    path: str,
    value: Any,
    text: str,
) -> None:
    problems = problems_of(entry(**{path: value}))
    assert len(problems) == 1
    assert problems[0].startswith(path.replace("__", "."))
    assert text in problems[0]


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({BNB + "load_in_8bit": True}, "load_in_4bit and fine_tune_config.bnb"),
    ({TRAINING + "fp16": True, TRAINING + "bf16": True}, "fp16 and "),
    ({"local_model_path": "m"}, "wanted one of the two, found both"),
    ({"pretrained_model_name_or_path": None}, "found neither"),
    (
        {
            "fine_tune_config__continue_lora_finetuning": True,
            "fine_tune_config__lora_config": None,
        },
        "continue_lora_finetuning: wanted local_model_path",
    ),
    (
        {
            TRAINING + "load_best_model_at_end": True,
            TRAINING + "eval_strategy": "no",
        },
        "load_best_model_at_end: wanted an eval_strategy",
    ),
    (
        {
            "data_path": "data.json",
            "fine_tune_config__lora_config": None,
            BNB + "load_in_4bit": True,
        },
        "quantized weights cannot be trained themselves",
    ),
    ({"max_length": 100, "context_size": 100}, "less than context_size (100)"),
    ({"context_size": 256}, "max_length: wanted less than context_size"),
    ({"device": "cpu", TRAINING + "fp16": True}, "device 'cpu'"),
    (
        {
            "pretrained_model_name_or_path": "embedded:gemma-3-270m",
            "revision": "main",
        },
        "revision: wanted a model of the hub",
    ),
]


@pytest.mark.parametrize(("changes", "text"), CONTRADICTIONS)
def test_keys_that_contradict_each_other_are_refused(
    changes: dict[str, Any],
    text: str,
) -> None:
    problems = problems_of(entry(**changes))
    assert len(problems) == 1
    assert text in problems[0]


def test_every_problem_of_an_entry_is_told_at_once() -> None:
    raw = entry(device="gpu", max_length=0, **{LORA + "r": -1})
    del raw["config_name"]
    assert [line.split(":")[0] for line in problems_of(raw)] == [
        "device",
        "max_length",
        "fine_tune_config.lora_config.r",
        "config_name",
    ]


@pytest.mark.parametrize("key", ["config_name", "model_type"])
def test_a_missing_required_key_is_named(key: str) -> None:
    raw = entry()
    del raw[key]
    assert problems_of(raw) == [f"{key}: is missing"]


@pytest.mark.parametrize("raw", [None, [], "x", 3])
def test_an_entry_that_is_no_object_is_refused(raw: Any) -> None:
    assert "wanted an object" in problems_of(raw)[0]


def test_a_python_dict_nested_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["rank_pattern"] = endless
    raw = entry(fine_tune_config__lora_config=endless)
    assert problems_of(raw) == ["is nested more than 64 deep"]


def test_a_list_of_problems_stays_readable() -> None:
    problems = problems_of(entry(**{f"unknown{n}": 1 for n in range(500)}))
    assert len(problems) == 51
    assert problems[-1] == "and 450 more"


@pytest.mark.parametrize(
    ("path", "old", "today"),
    [
        (BNB + "load_in_4bit", "True", True),
        (BNB + "bnb_4bit_use_double_quant", "False", False),
        (BNB + "bnb_4bit_compute_dtype", "torch.bfloat16", "bfloat16"),
        ("fine_tune_config__continue_lora_finetuning", "False", False),
    ],
)
def test_a_string_of_the_original_is_accepted_with_one_warning(
    path: str,
    old: str,
    today: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "local_llm.settings"):
        found: Any = parse_settings(entry(**{path: old}), "here")
    for name in path.split("__"):
        found = (
            found[name] if isinstance(found, dict) else getattr(found, name)
        )
    assert found == today
    assert len(caplog.messages) == 1
    assert path.replace("__", ".") in caplog.messages[0]


def test_dtypes_of_torch_from_a_caller_become_their_names() -> None:
    class dtype:  # noqa: N801 - what torch calls it
        def __str__(self) -> str:
            return "torch.float16"

    raw = {"bnb_config": {"bnb_4bit_compute_dtype": dtype()}}
    found = parse_fine_tune_config(raw, "here")
    assert found.bnb_config == {"bnb_4bit_compute_dtype": "float16"}


def test_defaults_fill_what_an_entry_leaves_out() -> None:
    found = parse_settings(
        {
            "config_name": "a",
            "model_type": "huggingface",
            "local_model_path": "models/gemma",
        },
        "here",
    )
    assert found == ModelSettings(
        config_name="a",
        local_model_path=Path("models/gemma"),
    )
    assert found.generation == GenerationSettings()
    assert (found.max_length, found.stream) == (256, True)


def test_an_absent_fine_tune_config_gives_its_defaults() -> None:
    assert parse_fine_tune_config(None, "here") == FineTuneSettings()


def test_settings_do_not_change_with_the_dict_they_came_from() -> None:
    raw = entry(**{LORA + "target_modules": ["q_proj"]})
    found = parse_settings(raw, "here")
    raw["fine_tune_config"]["lora_config"]["target_modules"].append("x")
    assert found.fine_tune_config is not None
    assert found.fine_tune_config.lora_config == {
        "r": 16,
        "target_modules": ["q_proj"],
    }


def test_an_integer_is_fine_where_a_number_is_wanted() -> None:
    raw = {"training_args": {"num_train_epochs": 2, "warmup_steps": 3}}
    found = parse_fine_tune_config(raw, "here")
    assert found.training_args == {"num_train_epochs": 2, "warmup_steps": 3}


def test_an_integer_threshold_is_the_number_that_the_library_wants() -> None:
    found = parse_fine_tune_config(
        {"bnb_config": {"llm_int8_threshold": 6, "load_in_8bit": True}},
        "here",
    )
    assert found.bnb_config is not None
    assert type(found.bnb_config["llm_int8_threshold"]) is float
    assert found.bnb_config["load_in_8bit"] is True


def test_the_shipped_configs_load() -> None:
    found = load_all_settings(SHIPPED)
    assert list(found) == ["embedded", "gemma-7b-lima"]
    assert found["embedded"] == load_settings(SHIPPED, "embedded")
    for one in found.values():
        assert one.fine_tune_config is not None
        bnb = one.fine_tune_config.bnb_config
        assert bnb is not None
        assert bnb["bnb_4bit_quant_type"] == "nf4"
        assert bnb["bnb_4bit_use_double_quant"] is True


def write(path: Path, entries: Any) -> Path:
    """A config file with these entries."""
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def test_an_unknown_name_lists_the_names_and_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(SHIPPED, "embeded")
    assert caught.value.where == str(SHIPPED)
    assert caught.value.problems == [
        "no entry is named 'embeded', did you mean 'embedded'?; the names "
        "found are 'embedded', 'gemma-7b-lima', 'embedded-served', "
        "'tools-embedded', 'tools-embedded-sgd', 'tools-gemma-7b'",
    ]


def test_a_fault_of_another_entry_does_not_matter(tmp_path: Path) -> None:
    bad = entry(config_name="bad", max_length=0)
    path = write(tmp_path / "c.json", [bad, entry()])
    assert load_settings(path, "small").config_name == "small"
    with pytest.raises(ConfigError, match="entry 'bad': max_length"):
        load_all_settings(path)


def test_entries_of_another_type_are_left_alone(tmp_path: Path) -> None:
    other = {"config_name": "gpt", "model_type": "openai_chat", "api_key": 1}
    path = write(tmp_path / "c.json", [other, entry()])
    assert list(load_all_settings(path)) == ["small"]
    with pytest.raises(ConfigError, match="found the string 'openai_chat'"):
        load_settings(path, "gpt")


def test_the_message_names_the_file_and_the_entry(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", [entry(max_length=0)])
    with pytest.raises(ConfigError) as caught:
        load_settings(path, "small")
    assert caught.value.where == f"{path}, entry 'small'"


@pytest.mark.parametrize(
    "path",
    [
        "hub_token",
        "token",
        TRAINING + "hub_token",
        TRAINING + "push_to_hub_token",
        LORA + "api_key",
        "generation__Token",
    ],
)
@pytest.mark.parametrize("value", [CANARY, "canary", {"a": "canary"}, None])
def test_a_token_is_refused_by_its_key_and_never_shown(
    path: str,
    value: Any,
) -> None:
    problems = problems_of(entry(**{path: value}))
    assert len(problems) == 1
    assert "set HF_TOKEN" in problems[0]
    assert "canary" not in problems[0].lower()


@pytest.mark.parametrize(
    "change",
    [
        {"data_path": CANARY},
        {"data_path": "https://me:canary@example.org/data.json"},
        {"data_path": "x" * 40 + CANARY},
        {CANARY: 1},
        {"hub_tokn": "canary"},
        {"device": CANARY},
        {"config_name": CANARY + "!"},
        {"demonstration_prompts": [CANARY]},
        {LORA + CANARY: 1},
    ],
)
def test_a_token_in_any_place_is_never_shown(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(entry(**change), f"file {CANARY}")
    assert "canary" not in str(caught.value).lower()


def test_paths_start_from_the_folder_that_contains_configs(
    tmp_path: Path,
) -> None:
    base = project_folder(tmp_path / "configs" / "model_configs.json")
    assert base == tmp_path
    assert project_folder(tmp_path / "mine.json") == tmp_path
    assert resolve_path("data/a.json", base) == tmp_path / "data" / "a.json"
    assert resolve_path("/data/a.json", base) == Path("/data/a.json")
    assert resolve_path("~/a.json", base) == Path.home() / "a.json"
    assert resolve_path("~nobody-here/a", base) == base / "~nobody-here/a"


def test_checking_a_config_imports_no_heavy_library() -> None:
    code = (
        "from pathlib import Path; import local_llm.settings as s;"
        f"s.load_all_settings(Path({str(SHIPPED)!r}))"
    )
    assert loaded_after(code, *HEAVY) == []


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["True", "2e-4", "torch.bfloat16", "\ud800", CANARY]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=12), inner, max_size=3),
    ),
    max_leaves=8,
)
KEYS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["r", "seed", "token", "output_dir", "max_length"]),
)


def places(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object of an entry."""
    outer = [v for v in raw.values() if isinstance(v, dict)]
    inner = [v for o in outer for v in o.values() if isinstance(v, dict)]
    deep = [v for o in inner for v in o.values() if isinstance(v, dict)]
    return [raw, *outer, *inner, *deep]


@st.composite
def mutated(draw: Callable[..., Any]) -> tuple[Parser, dict[str, Any]]:
    """A shipped entry with one to three changes, and what reads it."""
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))
    raw = copy.deepcopy(draw(st.sampled_from(shipped)))
    parse = PARSERS[raw["model_type"]]
    chosen = places(raw)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(chosen))
        key = draw(st.one_of(KEYS, st.sampled_from(sorted(place) or ["r"])))
        place[key] = draw(VALUES)
    return parse, raw


@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(mutated())
def test_no_changed_config_escapes_as_another_exception(
    drawn: tuple[Parser, dict[str, Any]],
) -> None:
    load_settings(SHIPPED, "embedded")  # the libraries are read once
    parse, raw = drawn
    start = time.process_time()
    try:
        parse(raw, "here")
    except LocalLLMError as error:
        assert CANARY not in str(error)
        str(error).encode("utf-8")
    assert time.process_time() - start < 0.05
