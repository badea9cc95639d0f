# -*- coding: utf-8 -*-
"""The chat model that AgentScope sees: importing, loading, fine-tuning."""

import asyncio
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agentscope.formatter import OpenAIChatFormatter
from tiny_agents import (
    FINE_TUNING,
    answer,
    entry,
    fine_tuning,
    messages_of,
    respond,
    tuned_entry,
    wrapper,
    write_rows,
)
from tiny_models import make_tokenizer

from huggingface_formatter import HuggingFaceChatFormatter
from huggingface_model import (
    MODEL_CONFIGS,
    HuggingFaceCredential,
    HuggingFaceWrapper,
)
from local_llm import fine_tuning as fine_tuning_module
from local_llm import loaded_model
from local_llm.errors import (
    ConfigError,
    DatasetError,
    GenerationError,
    WeightsError,
)
from local_llm.reports import read_report
from local_llm.surroundings import Listener

PROJECT = Path(__file__).resolve().parent.parent
QUESTION = "Question 3?"
SECRET = "hf_averysecrettoken"

SPY = """
import json, logging, os, sys
import agentscope

reads = []

class Spy(type(os.environ)):
    def __getitem__(self, key):
        note(key)
        return super().__getitem__(key)

    def __iter__(self):
        note("*")
        return super().__iter__()

def note(key):
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith("<frozen"):
        frame = frame.f_back
    reads.append([key, frame.f_code.co_filename])

os.environ.__class__ = Spy
assert "PATH" in os.environ and reads.pop()[0] == "PATH"
root = logging.getLogger()
before = (list(root.handlers), root.level)
import MODULE
print(json.dumps({
    "reads": reads,
    "root unchanged": (list(root.handlers), root.level) == before,
    "loggers": {
        name: [len(logger.handlers), logger.level]
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    },
    "modules": sorted(sys.modules),
}))
"""


def said(model: HuggingFaceWrapper, question: str = QUESTION) -> str:
    """What the model replies, outside any event loop."""
    return asyncio.run(answer(model, question))


@pytest.fixture(scope="module")
def finished(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A project with the run of `tuned_entry()`; to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_folder, folder / "model")
    write_rows(folder / "data.json")
    wrapper(folder, tuned_entry())
    return folder


@pytest.fixture
def with_run(finished: Path, tmp_path: Path) -> Path:
    """A project of its own with a finished run."""
    return shutil.copytree(finished, tmp_path / "with run")


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is an error."""
    monkeypatch.setattr(fine_tuning_module, "train", None)


# -- importing -------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=["huggingface_model", "finetune_dialog_agent"],
)
def imported(request: pytest.FixtureRequest) -> dict:
    """What importing a module did, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SPY.replace("MODULE", request.param)],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "library",
    ["torch", "transformers", "trl", "peft", "bitsandbytes", "datasets"],
)
def test_importing_loads_no_heavy_library(imported, library):
    assert library not in imported["modules"]


def test_importing_reads_no_environment(imported):
    ours = [
        read for read in imported["reads"] if Path(read[1]).parent == PROJECT
    ]
    deeper = [
        read
        for read in imported["reads"]
        if read[1].startswith(str(PROJECT / "local_llm"))
    ]
    assert ours + deeper == []


def test_importing_configures_no_logging(imported):
    assert imported["root unchanged"]
    ours = ("huggingface", "finetune", "local_llm", "msghub")
    loggers = {
        name: state
        for name, state in imported["loggers"].items()
        if name.startswith(ours)
    }
    assert "huggingface_model" in loggers
    assert all(state == [0, 0] for state in loggers.values())


# -- making one --------------------------------------------------------------------


def test_a_model_has_what_an_agent_asks_of_it(project):
    model = wrapper(project)
    assert type(model.formatter) is HuggingFaceChatFormatter
    assert (model.model, model.type) == ("tiny", "huggingface_chat")
    assert (model.stream, model.max_retries) == (True, 0)
    assert model.context_size == 512  # of the model's config.json
    assert HuggingFaceCredential.get_chat_model_class() is HuggingFaceWrapper


def test_a_formatter_of_ones_own_is_used(project):
    formatter = OpenAIChatFormatter()
    assert wrapper(project, formatter=formatter).formatter is formatter


@pytest.mark.parametrize(
    ("in_config", "given", "expected"),
    [(None, 96, 96), (128, None, 128), (128, 96, 96), (None, 9999, 512)],
)
def test_the_context_is_as_long_as_asked_but_not_longer_than_the_models(
    project,
    in_config,
    given,
    expected,
):
    config = entry(context_size=in_config)
    model = wrapper(project, config, context_size=given)
    assert model.context_size == model.local.context_size == expected


def test_streaming_is_the_configs_choice_unless_given(project):
    assert wrapper(project, entry(stream=False)).stream is False
    assert wrapper(project, entry(stream=False), stream=True).stream is True


def test_a_model_needs_a_name_or_a_config():
    with pytest.raises(ConfigError, match="neither `model` nor `config`"):
        HuggingFaceWrapper()


def test_every_problem_of_a_config_is_listed():
    with pytest.raises(ConfigError) as caught:
        HuggingFaceWrapper(config=entry(max_length=0, devise="cpu"))
    assert "max_length" in str(caught.value)
    assert "did you mean" in str(caught.value)


def test_a_model_can_be_named_without_a_config(project, monkeypatch):
    monkeypatch.chdir(project)
    model = HuggingFaceWrapper(model="model", parameters=PARAMETERS)
    assert model.local.base.name == str(project / "model")
    assert said(model) == said(wrapper(project))


PARAMETERS = HuggingFaceWrapper.Parameters(max_tokens=12)


def test_runs_of_a_model_named_by_its_path_do_not_replace_the_model(project):
    model = HuggingFaceWrapper(
        model=str(project / "model"),
        base_folder=project,
    )
    assert model.local.output_folder() == project / "runs" / "model"


def test_an_entry_of_a_file_is_found_by_name_and_beside_the_file(project):
    path = project / "configs" / "models.json"
    path.parent.mkdir()
    path.write_text(json.dumps([entry(config_name="other"), entry()]))
    model = HuggingFaceWrapper.from_config("tiny", path, context_size=64)
    assert model.local.base.name == str(project / "model")
    assert model.context_size == 64


def test_the_projects_own_config_file_is_there():
    assert MODEL_CONFIGS == PROJECT / "configs" / "model_configs.json"
    assert MODEL_CONFIGS.is_file()


# -- access --------------------------------------------------------------------------


def test_the_credentials_token_goes_before_the_environments(
    project,
    monkeypatch,
):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    given = HuggingFaceCredential(token=SECRET)
    model = wrapper(project, credential=given)
    assert model.local.surroundings.token == SECRET
    model = wrapper(project)
    assert model.local.surroundings.token == "hf_of_the_environment"


def test_the_token_is_never_shown(project, caplog):
    for name in ("local_llm", "huggingface_model"):
        caplog.set_level(logging.DEBUG, name)
    credential = HuggingFaceCredential(token=SECRET)
    model = wrapper(project, tuned_entry(), credential=credential)
    shown = [credential, model, vars(model), vars(model.local)]
    for fail in (
        lambda: model.load_model(local_model_path="nowhere"),
        lambda: model.load_tokenizer(local_tokenizer_path="nowhere"),
        lambda: model.fine_tune("nowhere.json"),
    ):
        with pytest.raises((WeightsError, DatasetError)) as caught:
            fail()
        shown += [caught.value, vars(caught.value)]
    text = " ".join(f"{one!r} {one!s}" for one in shown)
    assert SECRET not in text
    assert caplog.records
    assert SECRET not in caplog.text
    run = project / "run"
    assert all(SECRET.encode() not in p.read_bytes() for p in run.iterdir())


# -- loading -------------------------------------------------------------------------


def test_models_of_one_source_share_their_weights(project):
    assert wrapper(project).local.base is wrapper(project).local.base


def test_a_failed_load_leaves_the_model_and_a_good_one_replaces_it(project):
    shutil.copytree(project / "model", project / "other")
    change = project / "other" / "config.json"
    config = {**json.loads(change.read_text())}
    config["max_position_embeddings"] = 256
    change.write_text(json.dumps(config))
    model = wrapper(project)
    before = said(model)
    with pytest.raises(WeightsError, match="does not exist"):
        model.load_model(local_model_path="nowhere")
    assert (said(model), model.context_size) == (before, 512)
    model.load_model(local_model_path="other")
    assert model.local.base.name == str(project / "other")
    assert model.context_size == 256


def test_a_tokenizer_that_does_not_fit_is_refused(project):
    large = make_tokenizer(unflagged=tuple(f"<extra_{i}>" for i in range(99)))
    large.save_pretrained(project / "large")
    model = wrapper(project)
    before = said(model)
    with pytest.raises(WeightsError, match="its weights only 352"):
        model.load_tokenizer(local_tokenizer_path="large")
    assert said(model) == before


# -- fine-tuning -----------------------------------------------------------------------


def test_the_first_construction_fine_tunes_and_the_second_reuses(
    with_run,
    no_training,
):
    run = with_run / "run"
    changed = run.stat().st_mtime_ns
    with messages_of("local_llm.local_model") as logged:
        model = wrapper(with_run, tuned_entry())
    assert logged[-1] == f"finished run used folder={run}"
    assert run.stat().st_mtime_ns == changed
    assert model.local.report == read_report(run)


def test_retraining_is_done_when_asked_for(with_run):
    before = read_report(with_run / "run")
    model = wrapper(with_run, tuned_entry(), initial_fine_tuning="retrain")
    assert read_report(with_run / "run.previous-1") == before
    assert model.local.report.key == before.key
    assert model.local.report == read_report(with_run / "run")


def test_no_fine_tuning_is_done_when_it_is_off(with_run, no_training):
    model = wrapper(with_run, tuned_entry(), initial_fine_tuning="off")
    assert not model.local.is_fine_tuned
    assert said(model) == said(wrapper(with_run))


def test_an_unknown_kind_of_initial_fine_tuning_is_refused(project):
    with pytest.raises(ConfigError, match="initial_fine_tuning"):
        wrapper(project, tuned_entry(), initial_fine_tuning="never")


def test_bad_data_is_found_before_weights_are_loaded(project, monkeypatch):
    monkeypatch.setattr(loaded_model, "load_base_model", None)
    with pytest.raises(DatasetError, match="missing.json"):
        wrapper(project, tuned_entry(data_path="missing.json"))


def test_fine_tuning_changes_the_replies_and_says_what_was_done(project):
    model = wrapper(project)
    before = model.local.reply(QUESTION)
    report = model.fine_tune(
        "data.json",
        "own run",
        fine_tuning(max_steps=5),
        {QUESTION: before},
    )
    assert report.steps == 5
    assert read_report(project / "own run") == report
    assert report.demonstrations[0].after.text == said(model).strip()
    assert said(model).strip() != before.text


def test_a_reply_during_fine_tuning_is_refused_with_its_progress(project):
    refused = []

    def ask(step) -> None:
        with pytest.raises(GenerationError) as caught:
            said(model)
        refused.append(str(caught.value).splitlines()[0])

    model = wrapper(project, listener=Listener(on_step=ask))
    model.fine_tune("data.json", fine_tune_config=fine_tuning(max_steps=2))
    assert refused == [
        "fine-tuning in progress (step 1/2)",
        "fine-tuning in progress (step 2/2)",
    ]
    assert said(model)


@pytest.mark.asyncio
async def test_fine_tuning_waits_for_the_reply_that_is_being_given(project):
    model = wrapper(project)
    expected = await answer(model, QUESTION, max_tokens=100)
    replying = asyncio.create_task(answer(model, QUESTION, max_tokens=100))
    await asyncio.sleep(0.05)
    settings = {**FINE_TUNING, "training_args": {"max_steps": 1}}
    await asyncio.to_thread(model.fine_tune, "data.json", None, settings)
    assert await replying == expected


@pytest.mark.asyncio
async def test_a_fine_tuned_model_answers_in_the_stream_and_whole(with_run):
    model = wrapper(with_run, tuned_entry())
    streamed = await respond(model, QUESTION)
    model.stream = False
    whole = await respond(model, QUESTION)
    assert whole.content[0].text == streamed.content[0].text
    assert whole.content[0].text.strip() == model.local.reply(QUESTION).text


def test_a_manual_start_neither_loads_nor_trains(project, monkeypatch):
    monkeypatch.setattr(loaded_model, "load_base_model", None)
    model = wrapper(project, tuned_entry(), initial_fine_tuning="manual")
    with pytest.raises(WeightsError, match="no model is loaded"):
        _ = model.local.base
    assert not (project / "run").exists()
