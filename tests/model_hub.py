# -*- coding: utf-8 -*-
"""The part of the Hugging Face hub that takes uploads, on the loopback.

Speaks its HTTP: who am I, create a repository, what kind a file is, where a
large one goes, commit. Keeps what it was sent.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from huggingface_hub import constants, hf_api
from huggingface_hub.utils import _http

TOKEN = "hf_" + "a1B2" * 9
LARGE = 1 << 16
"""From this size on a file is sent apart from the commit."""


def _writer() -> dict[str, Any]:
    """The account of a token with write access."""
    auth = {"type": "access_token", "accessToken": {"role": "write"}}
    return {"name": "owner", "type": "user", "orgs": [], "auth": auth}


@dataclass
class Hub:
    """What the hub knows after the uploads.

    Attributes:
        url (`str`):
            Where it listens.
        statuses (`dict[str, int]`):
            What it answers to a path that has this in it, instead.
        account (`dict[str, Any]`):
            What it says of who asks.
        private (`bool`):
            Whether its repository is, unless the request to create it says.
        created (`dict[str, Any]`):
            The last request to create a repository.
        files (`dict[str, bytes]`):
            What was committed.
        tokens (`set[str]`):
            The tokens that it was shown.
    """

    url: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=_writer)
    private: bool = False
    created: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)

    def answer(self, path: str, body: bytes) -> Any:
        """What the hub says to a request."""
        if path.endswith("/whoami-v2"):
            return self.account
        if path.endswith("/repos/create"):
            self.created = json.loads(body)
            self.private = self.created.get("visibility") == "private"
            return {"url": f"{self.url}/owner/name"}
        if "/preupload/" in path:
            return {"files": list(map(_kind, json.loads(body)["files"]))}
        if path.endswith("/objects/batch"):
            objects = json.loads(body)["objects"]
            return {
                "transfer": "basic",
                "objects": list(map(self._at, objects)),
            }
        if path.startswith("/objects/"):
            self.objects[path.removeprefix("/objects/")] = body
            return {}
        if "/commit/" in path:
            for line in body.decode().splitlines():
                self._commit(json.loads(line))
            commit = f"{self.url}/owner/name/commit/{'0' * 40}"
            return {"commitUrl": commit, "commitOid": "0" * 40}
        return {
            "id": "owner/name",
            "private": self.private,
            "siblings": [],
            "sha": "0" * 40,
        }

    def _at(self, one: dict[str, Any]) -> dict[str, Any]:
        upload = {"href": f"{self.url}/objects/{one['oid']}"}
        return {**one, "actions": {"upload": upload}}

    def _commit(self, line: dict[str, Any]) -> None:
        value = line["value"]
        if line["key"] == "file":
            content = base64.b64decode(value["content"])
            self.files[value["path"]] = content
        elif line["key"] == "lfsFile":
            self.files[value["path"]] = self.objects[value["oid"]]


def _kind(file: dict[str, Any]) -> dict[str, Any]:
    mode = "lfs" if file["size"] >= LARGE else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that listens until the end of the block."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            hub.paths.append(self.path)
            bearer = self.headers.get("Authorization", "")
            hub.tokens.add(bearer.removeprefix("Bearer "))
            refused = [s for p, s in hub.statuses.items() if p in self.path]
            # A repository that exists is refused with its address.
            answer = {"url": f"{hub.url}/owner/name"}
            if not refused:
                answer = hub.answer(self.path, body)
            self.send_response(refused[0] if refused else 200)
            self.send_header("Content-Type", "application/json")
            content = json.dumps(answer).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = handle_any

        def log_message(self, *arguments: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@pytest.fixture(name="hub")
def fixture_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that this process uploads to."""
    with running_hub() as hub:
        for module in (constants, hf_api):
            monkeypatch.setattr(module, "ENDPOINT", hub.url, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
        yield hub
