# -*- coding: utf-8 -*-
"""Adapters under names: found by all, and there as long as a reply needs."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny_adapters import make_adapter
from tiny_agents import local_model
from tiny_models import gemma, save_model

from local_llm import atomic_files
from local_llm.adapters import adapter_parameters, peft_model
from local_llm.base_model import load_private_model
from local_llm.chat_format import Turn
from local_llm.errors import (
    CheckpointError,
    ConfigError,
    GenerationError,
    WeightsError,
)
from local_llm.generation import Delivery, Failure, Request
from local_llm.local_model import LocalModel
from local_llm.named_adapters import RESERVED, check_name, named_adapters
from local_llm.surroundings import load_request

QUESTION = "Question 3?"
LIMIT_S = 30


@pytest.fixture(name="model")
def fixture_model(project: Path) -> LocalModel:
    """A loaded model, and adapters in `one` and `two` beside it."""
    model = local_model(project)
    model.load_model()
    for seed, name in enumerate(("one", "two")):
        make_adapter(model.base, project / name, seed)
    return model


def load(model: LocalModel, *names: str) -> None:
    for name in names:
        named_adapters(model.base).load(name, model.surroundings.path(name))


def said(model: LocalModel) -> str:
    return model.reply(QUESTION).text


def asked(
    model: LocalModel,
    deliver: Callable[[Delivery], None],
) -> Request:
    return model.request([Turn("user", QUESTION)], deliver)


class Waiting:
    """Takes a reply, and keeps its worker at the first piece."""

    def __init__(self) -> None:
        self.began, self.goes_on = threading.Event(), threading.Event()
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.began.set()
        assert self.goes_on.wait(LIMIT_S)
        self.deliveries.append(delivery)

    @property
    def text(self) -> str:
        assert not any(isinstance(one, Failure) for one in self.deliveries)
        return "".join(one.text for one in self.deliveries)


def in_use_by(model: LocalModel) -> Waiting:
    """A reply of the model that has begun and does not go on by itself."""
    waiting = Waiting()
    model.submit(asked(model, waiting))
    assert waiting.began.wait(LIMIT_S)
    return waiting


# -- who answers how -------------------------------------------------------


def test_each_view_answers_with_its_own_adapter_and_the_base_with_none(model):
    before = said(model)
    load(model, "one", "two")
    one, two = model.with_adapter("one"), model.with_adapter("two")
    assert said(one) == said(one.with_adapter("one"))
    assert len({said(model), said(one), said(two)}) == 3
    assert said(model) == said(one.with_adapter(None)) == before
    assert one.base is two.base is model.base
    names = model.adapter_name, one.adapter_name, two.adapter_name
    assert names == (None, "one", "two")
    assert (model.is_fine_tuned, one.is_fine_tuned) == (False, True)


def test_everybody_who_shares_the_weights_finds_the_name(model, project):
    load(model, "one")
    other = local_model(project)
    other.load_model()
    assert named_adapters(other.base).names == ["one"]
    assert said(other.with_adapter("one")) == said(model.with_adapter("one"))


def test_a_finished_run_brings_its_report(model):
    report = model.fine_tune(model.read_data())
    expected = said(model)
    load(model, "run")
    model.load_model()
    view = model.with_adapter("run")
    assert view.report == report
    assert said(view) == expected != said(model)
    assert view.with_adapter(None).report is None


def test_the_bare_base_below_a_fine_tuned_model_is_not_fine_tuned(model):
    before = said(model)
    model.fine_tune(model.read_data())
    bare = model.with_adapter(None)
    assert not bare.is_fine_tuned and said(bare) == before != said(model)


def test_fine_tuning_a_view_leaves_the_named_adapter_to_others(model):
    load(model, "one")
    view = model.with_adapter("one")
    expected = said(view)
    view.fine_tune(view.read_data())
    assert view.adapter_name is None and said(view) != expected
    assert said(model.with_adapter("one")) == expected
    view.load_model()
    assert said(model.with_adapter("one")) == expected


def test_a_run_that_fails_leaves_a_view_its_adapter(model, monkeypatch):
    load(model, "one")
    view = model.with_adapter("one")
    expected = said(view)
    monkeypatch.setattr("local_llm.fine_tuning.train", None)
    with pytest.raises(TypeError):
        view.fine_tune(view.read_data())
    assert (view.adapter_name, said(view)) == ("one", expected)


# -- names -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", "a.b", "../evil", "/abs", "a b", "ä", "a" * 65, "a\n"],
)
def test_a_name_that_could_be_a_path_is_refused(name):
    with pytest.raises(ConfigError, match="no name for an adapter"):
        check_name(name)


@pytest.mark.parametrize("name", RESERVED)
def test_a_word_for_no_adapter_is_refused(name):
    with pytest.raises(ConfigError, match="reserved"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "alice-2", "a_b", "a" * 64])
def test_an_ordinary_name_is_taken(name):
    check_name(name)


def test_a_refused_name_loads_nothing(model, project):
    with pytest.raises(ConfigError):
        named_adapters(model.base).load("../one", project / "one")
    assert named_adapters(model.base).names == []


def test_one_name_is_not_given_twice(model, project):
    load(model, "one")
    expected = said(model.with_adapter("one"))
    with pytest.raises(ConfigError, match="'one' is in use"):
        named_adapters(model.base).load("one", project / "two")
    assert said(model.with_adapter("one")) == expected


def test_one_of_two_who_load_a_name_at_once_has_it(model, project):
    names = named_adapters(model.base)

    def attempt(folder: str) -> str:
        try:
            names.load("same", project / folder)
        except ConfigError:
            return "refused"
        return "loaded"

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(attempt, ["one", "two"], timeout=LIMIT_S))
    assert sorted(outcomes) == ["loaded", "refused"]
    assert len(peft_model(model.base).peft_config) == 1


def test_an_adapter_that_is_there_is_not_loaded_again(model, project):
    names = named_adapters(model.base)
    first = names.ensure("one", project / "one")
    assert names.ensure("one", project / "one") is first


def test_an_unknown_name_is_told_with_those_that_there_are(model):
    with pytest.raises(ConfigError, match="it has none"):
        model.with_adapter("three")
    load(model, "two", "one")
    with pytest.raises(ConfigError, match="'three'; it has one, two"):
        model.with_adapter("three")


def test_a_name_that_is_not_there_is_told_to_those_who_unload_it(model):
    with pytest.raises(ConfigError, match="the name of an adapter") as caught:
        named_adapters(model.base).unload("three")
    assert "has no adapter 'three'" in str(caught.value)


# -- what cannot be loaded -------------------------------------------------


def test_an_adapter_of_another_base_is_refused_and_its_name_stays_free(
    model,
    project,
):
    folder = save_model(project / "other", gemma(seed=5))
    settings = local_model(project, local_model_path=str(folder)).settings
    other = load_private_model(load_request(settings, model.surroundings))
    make_adapter(other, project / "theirs")
    with pytest.raises(WeightsError, match="another base model"):
        load(model, "theirs")
    shutil.rmtree(project / "theirs")
    make_adapter(model.base, project / "theirs")
    load(model, "theirs")


def test_a_folder_without_an_adapter_is_refused(model):
    with pytest.raises(WeightsError, match="has no adapter"):
        load(model, "model")


def test_a_run_that_was_changed_is_refused(model, project):
    model.fine_tune(model.read_data())
    with (project / "run" / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(CheckpointError, match="tokenizer.json"):
        load(model, "run")


def test_a_run_of_a_whole_model_has_no_adapter_to_load(model, project):
    with atomic_files.sealed_folder(project / "whole") as folder:
        (folder / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="without an adapter"):
        load(model, "whole")


# -- unloading -------------------------------------------------------------


def test_an_unloaded_adapter_is_gone_from_the_weights(model):
    load(model, "one")
    view = model.with_adapter("one")
    assert adapter_parameters(model.base, view.adapter)
    named_adapters(model.base).unload("one")
    assert not adapter_parameters(model.base, view.adapter)
    assert named_adapters(model.base).names == []


def test_a_view_of_an_unloaded_adapter_is_refused_and_can_go_on(
    model,
    project,
):
    load(model, "one")
    view = model.with_adapter("one")
    expected = said(view)
    named_adapters(model.base).unload("one")
    with pytest.raises(GenerationError, match="'one' was unloaded"):
        said(view)
    load(model, "one")
    with pytest.raises(GenerationError, match="'one' was unloaded"):
        view.submit(asked(view, print))
    assert said(view.with_adapter("one")) == expected


def test_a_running_reply_keeps_its_adapter_until_it_has_ended(model):
    load(model, "one")
    view = model.with_adapter("one")
    expected = said(view)
    reply = in_use_by(view)
    with ThreadPoolExecutor(1) as thread:
        unloading = thread.submit(named_adapters(model.base).unload, "one")
        with pytest.raises(TimeoutError):
            unloading.result(timeout=0.3)
        with pytest.raises(GenerationError, match="was unloaded"):
            view.submit(asked(view, print))
        reply.goes_on.set()
        unloading.result(timeout=LIMIT_S)
    assert reply.text.strip() == expected
    assert not adapter_parameters(model.base, view.adapter)


def test_replies_stay_exact_while_other_adapters_come_and_go(model, project):
    load(model, "one")
    views = [model, model.with_adapter("one")]
    expected = [said(view) for view in views]
    ends = threading.Event()

    def ask(number: int) -> set[str]:
        texts = set()
        while not ends.is_set():
            texts.add(said(views[number]))
        return texts

    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(ask, number) for number in range(2)]
        for _ in range(5):
            load(model, "two")
            assert said(model.with_adapter("two"))
            named_adapters(model.base).unload("two")
        ends.set()
        found = [one.result(timeout=LIMIT_S) for one in asking]
    assert found == [{text} for text in expected]


def test_an_adapter_whose_reply_does_not_end_stays(model):
    load(model, "one")
    view = model.with_adapter("one")
    expected = said(view)
    reply = in_use_by(view)
    with pytest.raises(GenerationError, match="in use by 1 replies"):
        named_adapters(model.base).unload("one", timeout_s=0.1)
    reply.goes_on.set()
    assert said(view) == expected


def test_a_request_that_is_refused_keeps_no_adapter(model, monkeypatch):
    load(model, "one")
    view = model.with_adapter("one")
    request = asked(view, print)
    with model.base.lock.training(LIMIT_S):
        with pytest.raises(GenerationError, match="fine-tuning in progress"):
            view.submit(request)
    named_adapters(model.base).unload("one", timeout_s=0.1)


def test_a_reply_that_fails_keeps_no_adapter(model, monkeypatch):
    load(model, "one")
    view = model.with_adapter("one")
    request = asked(view, print)
    request.grammar = "no grammar ("
    ended = threading.Event()
    request.deliver = lambda delivery: ended.set()
    view.submit(request)
    assert ended.wait(LIMIT_S)
    named_adapters(model.base).unload("one", timeout_s=LIMIT_S)
