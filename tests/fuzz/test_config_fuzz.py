# -*- coding: utf-8 -*-
"""3,000 different config files that were changed: each is understood or
refused with an error of this package, and what is accepted keeps promises."""

import base64
import dataclasses
import json
import logging
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from config_files import CANARY, ORDINARY, STRANGE, broken_entries, files
from hypothesis import HealthCheck, given, settings
from peft import LoraConfig
from transformers import BitsAndBytesConfig
from trl import SFTConfig

from local_llm.entry_types import entry_types
from local_llm.errors import ConfigError, LocalLLMError
from local_llm.library_fields import library_fields
from local_llm.settings import (
    LIBRARY_SECTIONS,
    FineTuneSettings,
    ModelSettings,
    load_all_settings,
    parse_fine_tune_config,
    parse_settings,
)
from local_llm.settings_reference import schema
from local_llm.training_arguments import chosen_training

PROJECT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "trl", "peft", "agentscope", "datasets")
MEAN_S = 0.02
CHECKER = jsonschema.Draft202012Validator(schema(entry_types()))

thorough = settings(
    max_examples=4600,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def as_entry(found: ModelSettings) -> dict[str, Any]:
    """Settings as an entry of a config file.

    Quantized weights without an adapter can be asked and not trained, so that
    nothing of training may be named beside them.
    """
    entry = json.loads(json.dumps(dataclasses.asdict(found), default=str))
    fine_tune = entry["fine_tune_config"]
    if fine_tune is not None and found.fine_tune_config.trains_all_weights:
        quantization = fine_tune["bnb_config"] or {}
        if any(quantization.get(f"load_in_{bits}bit") for bits in (4, 8)):
            del entry["data_path"], fine_tune["lora_config"]
    return entry


def check_promises(found: ModelSettings) -> None:
    """The types and ranges of the schema, and the same when read again."""
    entry = as_entry(found)
    errors = [error.message for error in CHECKER.iter_errors([entry])]
    assert errors == []
    assert parse_settings(entry, "again") == found


def test_a_file_is_understood_or_refused_with_an_error_of_this_package(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model_configs.json"
    tally: Counter[str] = Counter()
    different: set[bytes] = set()

    @thorough
    @given(files())
    def check(data: bytes) -> None:
        different.add(data)
        path.write_bytes(data)
        start = time.process_time()
        try:
            accepted = load_all_settings(path)
        except LocalLLMError as error:
            assert isinstance(error, ConfigError)
            str(error).encode("utf-8")
            assert CANARY not in str(error)
            accepted = {}
        tally["ms"] += round(1000 * (time.process_time() - start))
        tally["files"] += 1
        tally["accepted"] += bool(accepted)
        for found in accepted.values():
            check_promises(found)

    check()
    assert len(different) >= 3000
    assert tally["accepted"] >= 0.12 * tally["files"]
    assert tally["ms"] / tally["files"] < 1000 * MEAN_S


def corpus(number: int) -> list[bytes]:
    """As many of the files."""
    collected: list[bytes] = []

    @settings(thorough, max_examples=number)
    @given(files())
    def collect(data: bytes) -> None:
        collected.append(data)

    collect()
    return collected


def test_no_file_makes_a_heavy_library_be_imported(tmp_path: Path) -> None:
    coded = [base64.b64encode(data).decode() for data in corpus(200)]
    (tmp_path / "corpus.json").write_text(json.dumps(coded))
    code = (
        "import base64, json, sys; from pathlib import Path\n"
        "from local_llm.errors import ConfigError\n"
        "from local_llm.settings import load_all_settings\n"
        "place = Path(sys.argv[1])\n"
        "for coded in json.loads((place / 'corpus.json').read_text()):\n"
        "    (place / 'c.json').write_bytes(base64.b64decode(coded))\n"
        "    try:\n"
        "        load_all_settings(place / 'c.json')\n"
        "    except ConfigError:\n"
        "        pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def build(chosen: FineTuneSettings, place: Path) -> None:
    """Hand each of the three dicts to its library."""
    LoraConfig(
        **{"target_modules": "all-linear", **(chosen.lora_config or {})}
    )
    BitsAndBytesConfig(**(chosen.bnb_config or {}))
    # Whether this machine has what they want is not the config's fault.
    training = {**chosen_training(chosen), "tf32": None, "ddp_backend": None}
    needed = {
        "output_dir": str(place),
        "use_cpu": True,
        "load_best_model_at_end": False,  # this package keeps the best itself
    }
    SFTConfig(**{"bf16": False, **training, **needed})


@pytest.fixture(name="quiet")
def fixture_quiet() -> Iterator[None]:
    """The libraries warn of hundreds of odd values."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("section", LIBRARY_SECTIONS)
def test_a_library_takes_every_value_of_a_key_that_is_accepted(
    section: str,
    tmp_path: Path,
) -> None:
    built = 0
    for key in library_fields(section):
        for value in (*ORDINARY, *STRANGE):
            try:
                raw = {section: {key: value}}
                chosen = parse_fine_tune_config(raw, "here")
            except ConfigError:
                continue
            built += 1
            build(chosen, tmp_path)
    assert built >= 50


@pytest.mark.usefixtures("quiet")
def test_the_libraries_take_what_was_accepted(tmp_path: Path) -> None:
    tally: Counter[str] = Counter()

    @settings(thorough, max_examples=1000)
    @given(broken_entries())
    def check(raw: dict[str, Any]) -> None:
        try:
            chosen = parse_settings(raw, "here").fine_tune_config
        except ConfigError:
            return
        if chosen is not None:
            tally["built"] += 1
            build(chosen, tmp_path)

    check()
    assert tally["built"] >= 150
