# -*- coding: utf-8 -*-
"""Names bring the right base and adapter, and train nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_adapters import make_adapter
from tiny_agents import entry, local_model, messages_of
from tiny_models import gemma, save_model

from local_llm.errors import CheckpointError, ConfigError
from local_llm.local_model import LocalModel
from local_llm.model_catalog import ModelCatalog
from local_llm.named_adapters import named_adapters
from local_llm.surroundings import Surroundings

QUESTION = "Question 3?"


def write_config(project: Path, *entries: dict[str, Any]) -> Path:
    path = project / "configs.json"
    path.write_text(json.dumps(entries))
    return path


def catalog_of(
    project: Path,
    *entries: dict[str, Any],
    names: list[str] | None = None,
) -> ModelCatalog:
    path = write_config(project, *entries)
    surroundings = Surroundings(project, project / "cache")
    return ModelCatalog(path, surroundings, names)


def names_in(catalog: ModelCatalog) -> list[str]:
    return [offer.name for offer in catalog.offers()]


def opened(catalog: ModelCatalog, name: str) -> LocalModel:
    """The model of a name, loaded."""
    offer = catalog.find(name)
    assert offer is not None
    model = LocalModel(offer.settings, catalog.surroundings)
    model.load_model()
    return catalog.use(model, offer)


def train(project: Path, output: str, **changes: Any) -> str:
    """Leave a run; what it says."""
    model = local_model(project, **changes)
    model.load_model()
    model.fine_tune(model.read_data(), output)
    return model.reply(QUESTION).text


TUNED = entry(data_path="data.json", output_dir="there/run")


def test_the_entries_are_offered_and_name_no_data(project):
    other = {"config_name": "served", "model_type": "openai_chat"}
    catalog = catalog_of(project, TUNED, other)
    (offer,) = catalog.offers()
    assert (offer.name, offer.label) == ("tiny", "model (tiny)")
    assert offer.settings.data_path is None and offer.adapter is None


def test_every_adapter_that_was_trained_here_is_offered(project):
    said = train(project, "there/run")
    train(project, "runs/team/planner")
    catalog = catalog_of(project, TUNED)
    assert names_in(catalog) == [
        "tiny",
        "runs/team/planner",
        "there/run",
    ]
    model = opened(catalog, "there/run")
    assert model.reply(QUESTION).text == said
    assert model.report is not None
    assert opened(catalog, "tiny").reply(QUESTION).text != said


def test_an_adapter_on_a_base_that_nobody_offers_is_left_out(project):
    save_model(project / "other", gemma(seed=5))
    train(project, "runs/other", local_model_path="other")
    catalog = catalog_of(project, TUNED)
    assert names_in(catalog) == ["tiny"]
    both = catalog_of(
        project,
        TUNED,
        entry(config_name="other", local_model_path="other"),
    )
    assert names_in(both) == ["tiny", "other", "runs/other"]
    found = both.find("runs/other")
    assert found is not None and found.entry == "other"


def test_a_run_outside_of_the_project_is_named_by_its_whole_path(
    project,
    tmp_path_factory,
):
    outside = tmp_path_factory.mktemp("outside") / "run"
    train(project, str(outside))
    catalog = catalog_of(project, {**TUNED, "output_dir": str(outside)})
    assert names_in(catalog) == ["tiny", outside.as_posix()]


def test_an_entry_on_an_adapter_brings_that_adapter(project):
    said = train(project, "run")
    catalog = catalog_of(project, entry(local_model_path="run"))
    model = opened(catalog, "tiny")
    assert model.reply(QUESTION).text == said
    assert model.base.name == str(project / "model")


def test_an_entry_on_an_adapter_of_others_brings_it_too(project):
    base = local_model(project)
    base.load_model()
    make_adapter(base.base, project / "theirs")
    named = named_adapters(base.base)
    named.load("theirs", project / "theirs")
    said = base.with_adapter("theirs").reply(QUESTION).text
    catalog = catalog_of(project, entry(local_model_path="theirs"))
    assert opened(catalog, "tiny").reply(QUESTION).text == said


def test_the_adapter_of_a_name_is_loaded_once(project):
    train(project, "run")
    catalog = catalog_of(project, {**TUNED, "output_dir": "run"})
    with messages_of("local_llm.named_adapters") as told:
        first = opened(catalog, "run")
        second = opened(catalog, "run")
    assert len(told) == 1
    assert (first.base, first.adapter) == (second.base, second.adapter)


def test_a_run_that_was_trained_again_is_loaded_again(project):
    train(project, "run")
    catalog = catalog_of(project, {**TUNED, "output_dir": "run"})
    first = opened(catalog, "run")
    shutil.rmtree(project / "run")
    said = train(project, "run", fine_tune_config={"lora_config": {"r": 2}})
    assert opened(catalog, "run").reply(QUESTION).text == said
    assert opened(catalog, "run").adapter != first.adapter


def test_a_config_that_changes_meanwhile_is_not_read_again(project):
    catalog = catalog_of(project, TUNED)
    assert names_in(catalog) == ["tiny"]
    catalog.model_configs.write_text("[")
    train(project, "there/run")
    assert names_in(catalog) == ["tiny", "there/run"]


def test_a_run_that_was_changed_is_refused(project):
    train(project, "run")
    config = project / "run" / "adapter_config.json"
    config.write_text(config.read_text().replace("LORA", "lora"))
    catalog = catalog_of(project, {**TUNED, "output_dir": "run"})
    with messages_of("local_llm.model_catalog") as told:
        with pytest.raises(CheckpointError, match="adapter_config.json"):
            opened(catalog, "run")
    assert told[0].startswith("run cannot be used")


def test_a_run_that_has_gone_since_it_was_offered_is_told(project):
    train(project, "run")
    catalog = catalog_of(project, {**TUNED, "output_dir": "run"})
    offer = catalog.find("run")
    shutil.rmtree(project / "run")
    model = LocalModel(offer.settings, catalog.surroundings)
    model.load_model()
    with pytest.raises(CheckpointError, match="run cannot be read: No such"):
        catalog.use(model, offer)


# -- which entries ---------------------------------------------------------


def test_only_the_named_entries_are_offered(project):
    entries = [entry(config_name=name) for name in ("a", "b", "c")]
    catalog = catalog_of(project, *entries, names=["c", "a"])
    assert names_in(catalog) == ["c", "a"]
    for name in ("b", "owner/name", ""):
        with pytest.raises(ConfigError, match="is offered here") as caught:
            catalog.find(name)
        assert caught.value.fix == "use one of c, a"


def test_a_named_entry_that_is_not_there_is_told(project):
    catalog = catalog_of(project, entry(), names=["tinny"])
    with pytest.raises(ConfigError, match="did you mean 'tiny'"):
        _ = catalog.entries


def test_an_entry_with_a_fault_is_left_out_unless_it_is_named(project):
    faulty = entry(config_name="faulty", max_length=-1)
    assert names_in(catalog_of(project, faulty, entry())) == ["tiny"]
    with pytest.raises(ConfigError, match="max_length"):
        _ = catalog_of(project, faulty, names=["faulty"]).entries


def test_without_a_config_file_there_is_nothing_to_offer(project):
    catalog = ModelCatalog(
        project / "none.json",
        Surroundings(project, project / "cache"),
    )
    assert catalog.offers() == [] and catalog.find("google/gemma-7b") is None


def test_what_cannot_be_found_out_is_asked_for_once(project):
    catalog = catalog_of(project, entry(local_model_path="gone"))
    (offer,) = catalog.offers()
    with messages_of("local_llm.model_catalog") as told:
        assert catalog.facts(offer) is None
        assert catalog.facts(offer) is None
    assert len(told) == 1 and "gone" in told[0]
