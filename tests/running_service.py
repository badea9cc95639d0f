# -*- coding: utf-8 -*-
"""The agent service in a process of its own, and a client over HTTP."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
from tiny_models import gemma, make_tokenizer, save_model
from tiny_program import environment

import serve_agents

LIMIT_S = 120.0
BUSY_TRIES = 200
ENDLESS_CONTEXT = 2048
ADDRESS = re.compile(r"agent service at (http://\S+)")


def save_endless(folder: Path) -> Path:
    """A model whose replies only end at their limit: it gives its stop
    tokens, whose logits are 0, less than the best of the others."""
    model = gemma(max_position_embeddings=ENDLESS_CONTEXT)
    tokenizer = make_tokenizer()
    ends = tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])
    with torch.no_grad():
        model.get_input_embeddings().weight[ends] = 0
    return save_model(folder, model)


@dataclass
class Service:
    """A running service.

    Attributes:
        url (`str`):
            Where it answers.
        process (`subprocess.Popen`):
            Its process.
        log (`Path`):
            What it has shown and logged.
    """

    url: str
    process: subprocess.Popen
    log: Path

    def told(self, what: str) -> int:
        """How often its log has a text."""
        return self.log.read_text(encoding="utf-8").count(what)


@contextlib.contextmanager
def running_service(place: Path, *typed: str) -> Iterator[Service]:
    """Start the service on a free port, and end it with SIGTERM.

    Args:
        place (`Path`):
            Where its files are; the log is a new one.
        *typed (`str`):
            More of its command line.
    """
    log = place / f"log-{time.monotonic_ns()}.txt"
    file = serve_agents.__file__
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, file, "--port", "0", *typed],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=place,
            env=environment(place),
        ) as process,
    ):
        try:
            url = _wait_for_address(process, log)
            yield Service(url, process, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=LIMIT_S) == 128 + signal.SIGTERM
        finally:
            process.kill()


def _wait_for_address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8")
        found = ADDRESS.search(text)
        if found:
            return found[1]
        assert process.poll() is None, text
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


class Client:
    """A user of the service.

    Args:
        url (`str`):
            Of the service.
        user (`str`, optional):
            Who it is.
    """

    def __init__(self, url: str, user: str = "ada") -> None:
        self.http = httpx.Client(
            base_url=url,
            headers={"X-User-ID": user},
            timeout=LIMIT_S,
        )

    def get(self, path: str, **query: str) -> Any:
        return self.checked(self.http.get(path, params=query))

    def post(self, path: str, body: Any = None, **query: str) -> Any:
        return self.checked(self.http.post(path, json=body, params=query))

    def checked(self, response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()

    def models(self) -> dict[str, Any]:
        """The cards by their name."""
        cards = self.get("/model/", provider="huggingface_credential")
        return {card["name"]: card for card in cards["models"]}

    def talk(self, model: str, **parameters: Any) -> "Talk":
        """A session with a new agent on a model."""
        credential = self.post(
            "/credential/",
            {"data": {"type": "huggingface_credential"}},
        )
        agent = self.post("/agent/", {"name": "Bob", "system_prompt": ""})
        config = {
            "type": "huggingface_credential",
            "credential_id": credential["credential_id"],
            "model": model,
            "parameters": parameters,
        }
        session = self.post(
            "/sessions/",
            {
                "agent_id": agent["agent_id"],
                "name": "a talk",
                "chat_model_config": config,
            },
        )
        return Talk(self, agent["agent_id"], session["session_id"])


@dataclass
class Talk:
    """A session of one agent."""

    client: Client
    agent: str
    session: str

    def events(self, text: str) -> Iterator[dict[str, Any]]:
        """Say something, and give what happens until the reply has ended."""
        path = f"/sessions/{self.session}/stream"
        query = {"agent_id": self.agent}
        cursor = self._kept()["event_cursor"]
        if cursor is not None:  # else the end of the last reply comes again
            query["after"] = cursor
        with self.client.http.stream("GET", path, params=query) as stream:
            self.say(text)
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    yield event
                    if event["type"] == "REPLY_END":
                        break
        self._wait_until_kept()

    def say(self, text: str) -> None:
        """Say something, and do not wait for the reply."""
        message = {
            "name": "user",
            "role": "user",
            "content": [{"type": "text", "text": text}],
        }
        body = {
            "agent_id": self.agent,
            "session_id": self.session,
            "input": message,
        }
        for _ in range(BUSY_TRIES):
            answer = self.client.http.post("/chat/", json=body)
            if answer.status_code != httpx.codes.CONFLICT:
                break
            time.sleep(0.05)  # the task of the reply before ends only now
        self.client.checked(answer)

    def _wait_until_kept(self) -> None:
        """The last event comes before the reply is in the storage."""
        path = f"/sessions/{self.session}/status"
        for _ in range(BUSY_TRIES):
            found = self.client.get(path, agent_id=self.agent)["status"]
            if found == "idle":
                return
            time.sleep(0.05)
        raise AssertionError(found)

    def interrupt(self) -> None:
        """Break off the reply."""
        path = f"/sessions/{self.session}/interrupt"
        self.client.post(path, agent_id=self.agent)

    def reply(self, text: str) -> str:
        """Say something, and give the streamed reply."""
        return text_of(list(self.events(text)))

    def messages(self) -> list[tuple[str, str]]:
        """Who has said what, as the service keeps it."""
        return [
            (one["name"], "".join(b["text"] for b in one["content"]))
            for one in self._kept()["messages"]
        ]

    def _kept(self) -> dict[str, Any]:
        path = f"/sessions/{self.session}/messages"
        return self.client.get(path, agent_id=self.agent)


def text_of(events: list[dict[str, Any]]) -> str:
    """The words of a reply."""
    return "".join(
        event["delta"]
        for event in events
        if event["type"] == "TEXT_BLOCK_DELTA"
    )
