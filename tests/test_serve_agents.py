# -*- coding: utf-8 -*-
"""The agent service over HTTP: it answers, and it keeps what was said."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fresh_process import loaded_after
from running_service import (
    ENDLESS_CONTEXT,
    Client,
    Service,
    running_service,
    save_endless,
    text_of,
)
from tiny_agents import entry, fine_tuning, local_model, write_rows
from tiny_program import run_fixture

import serve_agents
from huggingface_catalog import ListedModels
from huggingface_model import HuggingFaceWrapper
from screen import Screen

PROJECT = Path(__file__).resolve().parents[1]
QUESTION = "Question 3?"
ENDLESS = 1800
"""Tokens of a reply that does not end by itself; they take seconds."""
NAMES = ("--config-name", "tiny", "--config-name", "endless")

fixture_run = run_fixture(serve_agents.main)


def typed(project: Path, *more: str) -> tuple[str, ...]:
    """A command line on the project's config and storage."""
    configs = project / "configs" / "model_configs.json"
    storage = project / "kept" / "agents.db"
    return (
        *("--model-configs", str(configs)),
        *("--storage", str(storage)),
        *more,
    )


@pytest.fixture(name="served", scope="module")
def fixture_served(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A project with a finished run in `run`, and what it says in `said`."""
    project = tmp_path_factory.mktemp("served")
    shutil.copytree(tiny_folder, project / "model")
    save_endless(project / "endless model")
    write_rows(project / "data.json")
    said = {}
    model = local_model(project)
    model.load_model()
    said["tiny"] = model.reply(QUESTION).text
    model.fine_tune(model.read_data())
    said["run"] = model.reply(QUESTION).text
    (project / "said.json").write_text(json.dumps(said))
    endless = {"local_model_path": "endless model", "max_length": ENDLESS}
    entries = [
        entry(data_path="data.json", output_dir="run"),
        entry(config_name="endless", **endless),
        entry(config_name="not offered"),
    ]
    (project / "configs").mkdir()
    (project / "configs" / "model_configs.json").write_text(
        json.dumps(entries),
    )
    return project


@pytest.fixture(name="service", scope="module")
def fixture_service(served: Path) -> Iterator[Service]:
    """A running service."""
    with running_service(served, *typed(served, *NAMES)) as service:
        yield service


@pytest.fixture(name="client")
def fixture_client(service: Service) -> Client:
    return Client(service.url)


# -- while it runs ---------------------------------------------------------


def test_the_offered_entries_and_the_adapters_on_them_are_listed(client):
    cards = client.models()
    assert set(cards) == {"tiny", "endless", "run"}
    assert {card["model_class"] for card in cards.values()} == {
        "huggingface_chat",
    }
    sizes = {name: card["context_size"] for name, card in cards.items()}
    assert sizes == {"tiny": 512, "run": 512, "endless": ENDLESS_CONTEXT}


def test_a_run_that_finishes_meanwhile_is_listed_too(client, served):
    again = served / "runs" / "deep" / "again"
    shutil.copytree(served / "run", again)
    assert "runs/deep/again" in client.models()
    shutil.rmtree(served / "runs")
    assert "runs/deep/again" not in client.models()


def test_a_run_that_finished_meanwhile_is_loaded_once(
    client,
    service,
    served,
):
    said = json.loads((served / "said.json").read_text())
    again = served / "runs" / "late"
    shutil.copytree(served / "run", again)
    before = service.told("adapter loaded")
    talk = client.talk("runs/late")
    assert talk.reply(QUESTION).strip() == said["run"]
    assert talk.reply("And then?")
    assert service.told("adapter loaded") == before + 1
    shutil.rmtree(served / "runs")
    assert list(talk.events("Still there?"))[-1]["finished_reason"] == "error"
    assert service.told("no model 'runs/late' is offered") == 1


def test_a_run_that_is_trained_again_answers_from_the_next_message_on(
    client,
    service,
    served,
):
    said, talk = [], client.talk("runs/again")
    for rate in (5e-2, 2e-1):
        config = fine_tuning(learning_rate=rate)
        model = local_model(served, fine_tune_config=config)
        model.load_model()
        model.fine_tune(model.read_data(), served / "runs" / "again")
        said.append(model.reply(QUESTION).text)
        assert client.talk("runs/again").reply(QUESTION).strip() == said[-1]
        assert talk.reply("And now?")
    assert said[0] != said[1]
    assert service.told("Traceback") == 0
    shutil.rmtree(served / "runs")


def test_what_is_not_offered_is_not_loaded(client, service):
    for name in ("not offered", "owner/name", "model", "embedded"):
        end = list(client.talk(name).events(QUESTION))[-1]
        assert end["finished_reason"] == "error"
        assert service.told(f"no model {name!r} is offered") == 1


@pytest.mark.parametrize("name", ["tiny", "run"])
def test_a_name_on_a_card_brings_its_base_and_its_adapter(
    client,
    served,
    name,
):
    said = json.loads((served / "said.json").read_text())
    assert said["tiny"] != said["run"]
    assert client.talk(name).reply(QUESTION).strip() == said[name]


def test_a_reply_is_streamed_and_kept(client):
    talk = client.talk("tiny")
    events = list(talk.events(QUESTION))
    kinds = [event["type"] for event in events]
    assert kinds[0] == "REPLY_START" and kinds[-1] == "REPLY_END"
    assert kinds.count("TEXT_BLOCK_DELTA") > 1
    assert len({e["block_id"] for e in events if "block_id" in e}) == 1
    usage = next(e for e in events if e["type"] == "MODEL_CALL_END")
    assert usage["input_tokens"] > 0 and usage["output_tokens"] == 12
    assert talk.messages() == [("user", QUESTION), ("Bob", text_of(events))]


def test_the_parameters_of_a_session_count(client):
    events = list(client.talk("endless", max_tokens=5).events(QUESTION))
    usage = next(e for e in events if e["type"] == "MODEL_CALL_END")
    assert usage["output_tokens"] == 5


def test_the_second_message_loads_nothing_again(client, service):
    before = service.told("adapter loaded")
    talk = client.talk("run")
    first = talk.reply(QUESTION)
    assert talk.reply("And then?")
    assert client.talk("run").reply(QUESTION) == first
    assert service.told("loading the weights") == 2  # one for each entry
    assert service.told("adapter loaded") == before


def test_an_interrupted_reply_ends_and_leaves_the_model_free(client):
    talk = client.talk("endless")
    events: list[dict[str, Any]] = []
    for event in talk.events(QUESTION):
        events.append(event)
        deltas = [e for e in events if e["type"] == "TEXT_BLOCK_DELTA"]
        if len(deltas) == 3:
            talk.interrupt()
    assert events[-1]["finished_reason"] == "interrupted"
    assert len(events) < ENDLESS / 2
    said = talk.messages()[1][1]
    assert said.startswith(text_of(events[:8]))
    short = client.talk("endless", max_tokens=2)
    assert list(short.events("Hi"))[-1]["finished_reason"] == "completed"


def test_a_prompt_that_does_not_fit_is_told_in_the_log(client, service):
    talk = client.talk("endless")
    end = list(talk.events("word " * 2500))[-1]
    assert end["finished_reason"] == "error"
    assert service.told("tokens, the context only 2048") == 1
    assert service.told("Traceback") == 0


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"temperature": 9}, "temperature is 9: Input should be less than"),
        ({"thinking_enable": True}, "has no switch for thinking"),
        ({"grammar": "start: ("}, "the grammar cannot be used"),
    ],
)
def test_parameters_that_cannot_be_used_are_told_in_the_log(
    client,
    service,
    parameters,
    told,
):
    end = list(client.talk("tiny", **parameters).events("Hi"))[-1]
    assert end["finished_reason"] == "error"
    assert service.told(told) == 1
    assert service.told("Traceback") == 0


def test_a_user_does_not_see_what_another_one_has(client, service):
    talk = client.talk("tiny")
    other = Client(service.url, "eve")
    assert other.get("/agent/")["total"] == 0
    answer = other.http.get(
        f"/sessions/{talk.session}/messages",
        params={"agent_id": talk.agent},
    )
    assert answer.status_code == 404


def test_a_page_that_gives_itself_another_name_is_refused(client):
    answer = client.http.get("/agent/", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.text) == (400, "Invalid host header")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there")
def test_the_commands_of_the_readme_hold_a_conversation(served, service):
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"```bash\n(api\(\).*?)```", readme, re.DOTALL)[0]
    for theirs, ours in (
        ("http://127.0.0.1:8000", service.url),
        ("runs/embedded", "run"),
        ("--max-time 20", "--max-time 3"),
    ):
        assert theirs in commands
        commands = commands.replace(theirs, ours)
    done = subprocess.run(
        ["bash", "-c", commands],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = json.loads((served / "said.json").read_text())["run"]
    shown = "".join(re.findall(r'"delta": "(.*?)"[,}\n]', done.stdout))
    assert done.stderr == "" and "started" in done.stdout
    assert len(shown) >= len(said) > 0


def test_the_flags_of_the_readme_are_those_of_the_program():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Agent service")[2].partition("\n## ")[0]
    table = re.findall(r"^\| (`--.*?) \|", section, re.MULTILINE)
    named = set(re.findall(r"--([\w-]+)", " ".join(table)))
    taken = vars(serve_agents.parse_arguments([]))
    flags = {one.replace("_", "-") for one in taken} - {"debug"}
    assert named == flags


def test_the_command_line_is_read_before_anything_slow_is_imported():
    code = "import serve_agents; serve_agents.parse_arguments([])"
    assert loaded_after(code, "agentscope", "torch", "transformers") == []


# -- started again ---------------------------------------------------------


def test_a_conversation_is_there_when_the_service_was_started_again(served):
    place = typed(served, "--config-name", "tiny")
    place = (*place, "--storage", str(served / "again.db"))
    with running_service(served, *place) as service:
        talk = Client(service.url).talk("run")
        talk.reply(QUESTION)
        before = talk.messages()
    with running_service(served, *place) as service:
        talk.client = Client(service.url)
        assert talk.messages() == before
        said = talk.reply("And then?")
        assert talk.messages() == [
            *before,
            ("user", "And then?"),
            ("Bob", said),
        ]


def test_a_web_page_that_was_named_may_use_the_service(served):
    origin = "http://localhost:5173"
    place = typed(served, "--config-name", "tiny", "--web-origin", origin)
    place = (*place, "--storage", str(served / "web.db"), "--tools")
    with running_service(served, *place) as service:
        asked = {
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "X-User-ID",
        }
        client = Client(service.url)
        for page, code in ((origin, 200), ("http://evil.example", 400)):
            answer = client.http.options(
                "/agent/",
                headers={"Origin": page, **asked},
            )
            assert answer.status_code == code


def test_a_run_that_cannot_be_used_keeps_nothing_else_from_being_served(
    served,
    capsys,
    monkeypatch,
):
    monkeypatch.setattr(ListedModels, "_catalog", None)
    broken = shutil.copytree(served / "run", served / "runs" / "broken")
    config = broken / "adapter_config.json"
    config.write_text(config.read_text().replace("LORA", "lora"))
    path = served / "configs" / "model_configs.json"
    offers = HuggingFaceWrapper.offer(path, ["tiny"]).offers()
    models = serve_agents.load_all(offers, Screen())
    shutil.rmtree(served / "runs")
    assert [one.model for one in models] == ["tiny", "run"]
    told = capsys.readouterr().out
    assert told.count("left out: ") == 1 and str(config) in told


# -- what keeps it from starting -------------------------------------------


def test_an_unknown_entry_is_named_with_its_neighbours(run, served):
    code, shown = run(*typed(served, "--config-name", "tinny"))
    assert code == 2
    assert "did you mean 'tiny'?" in shown and "Traceback" not in shown


def test_a_port_that_is_taken_is_told_before_anything_is_loaded(run, served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, shown = run(*typed(served, *NAMES, "--port", port))
    assert code == 3
    assert f"cannot listen at 127.0.0.1:{port}: Address already" in shown
    assert "loading" not in shown and "Traceback" not in shown


def test_a_storage_that_cannot_be_written_is_told(run, served):
    (served / "a file").write_text("in the way")
    storage = str(served / "a file" / "agents.db")
    code, shown = run(*typed(served, *NAMES), "--storage", storage)
    assert code == 3
    assert f"the storage {storage} cannot be used" in shown
    assert "--storage" in shown and "loading" not in shown


def test_a_missing_package_is_told_with_the_command_that_brings_it(
    run,
    served,
    monkeypatch,
):
    monkeypatch.setattr("agent_service.PACKAGES", ("fastapi", "no_such_one"))
    code, shown = run(*typed(served, *NAMES))
    assert code == 2
    assert "the package no_such_one is not installed" in shown
    assert "pip install -r requirements-service.txt" in shown


@pytest.mark.parametrize("typed_in", ["http://localhost:5173/", "HTTP://A.b"])
def test_a_web_page_is_known_as_browsers_know_it(typed_in):
    arguments = serve_agents.parse_arguments(["--web-origin", typed_in])
    assert arguments.web_origin == [typed_in.lower().removesuffix("/")]


@pytest.mark.parametrize(
    "typed_in",
    ["localhost:5173", "*", "http://a/page", "ftp://a", "http://", "http://*"],
)
def test_what_is_no_address_of_a_web_page_is_refused(run, typed_in, capfd):
    with pytest.raises(SystemExit) as ended:
        run("--web-origin", typed_in)
    assert ended.value.code == 2
    assert "such as http://localhost:5173" in capfd.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_there_cannot_be_is_refused(run, port, capfd):
    with pytest.raises(SystemExit) as ended:
        run("--port", port)
    assert ended.value.code == 2
    assert "want a number from 0 to 65535" in capfd.readouterr().err
