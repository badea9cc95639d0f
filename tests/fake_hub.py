# -*- coding: utf-8 -*-
"""A Hugging Face hub without a network, below the real libraries.

Only the transport of huggingface_hub's HTTP client is replaced.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import datasets
import httpx2
import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

COMMIT = "68958e91ed2bf9ee1a6a6e5ecfb3ae1a5a5b1d2a"

Handler = Callable[[httpx2.Request], httpx2.Response]
SetHub = Callable[[Handler], list[httpx2.Request]]


@pytest.fixture(name="hub")
def fixture_hub(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[SetHub]:
    """Puts a function in the place of the hub; returns its requests."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    before = _http._GLOBAL_CLIENT_FACTORY

    def set_hub(handler: Handler) -> list[httpx2.Request]:
        requests: list[httpx2.Request] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            requests.append(request)
            return handler(request)

        transport = httpx2.MockTransport(answer)
        huggingface_hub.set_client_factory(
            lambda: httpx2.Client(
                transport=transport,
                event_hooks={"request": [_http.hf_request_event_hook]},
            ),
        )
        return requests

    yield set_hub
    huggingface_hub.set_client_factory(before)


def answering(status: int, code: str = "", message: str = "") -> Handler:
    """A hub that answers everything with one status."""
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    kept = {name: value for name, value in headers.items() if value}
    return lambda request: httpx2.Response(status, headers=kept)


def gated(handler: Handler) -> Handler:
    """The same hub for who sends a token; the others are refused."""
    refuse = answering(401, "GatedRepo")

    def answer(request: httpx2.Request) -> httpx2.Response:
        has_token = "authorization" in request.headers
        return (handler if has_token else refuse)(request)

    return answer


def hub_with_files(
    repo: str,
    files: Mapping[str, str | bytes],
    commit: str = COMMIT,
) -> Handler:
    """A hub with one repository that has these files."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if "/tree/" in path:
            return httpx2.Response(200, json=[])
        if "/api/" in path:
            info = {"id": repo, "sha": commit, "siblings": [], "tags": []}
            return httpx2.Response(200, json=info)
        content = files.get(path.rpartition("/")[2])
        headers = {"X-Repo-Commit": commit}
        if isinstance(content, str):
            content = content.encode()
        if content is None:
            headers["X-Error-Code"] = "EntryNotFound"
            return httpx2.Response(404, headers=headers)
        headers["ETag"] = f'"{hashlib.sha1(content).hexdigest()}"'
        return httpx2.Response(200, headers=headers, content=content)

    return answer


def hub_with_revisions(
    repo: str,
    revisions: Mapping[str, Mapping[str, str]],
) -> Handler:
    """A hub with one dataset: by revision, its files by their paths."""
    commits = {commit_of(name): files for name, files in revisions.items()}
    known = {**revisions, **commits}

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        _, _, asked = path.partition(f"/datasets/{repo}")
        verb, _, rest = asked.lstrip("/").partition("/")
        revision, _, name = rest.partition("/")
        if path.startswith("/api/") and verb in ("", "revision"):
            return _info(repo, revision or "main", revisions)
        if verb == "auth-check":
            return httpx2.Response(200)
        files = known.get(revision, {})
        if verb == "tree":
            return httpx2.Response(200, json=_tree(files, name))
        if verb == "paths-info":
            return httpx2.Response(200, json=_tree(files, ""))
        if name not in files:
            headers = {"X-Error-Code": "EntryNotFound"}
            return httpx2.Response(404, headers=headers)
        content = files[name].encode()
        headers = {"X-Repo-Commit": revision, "ETag": f'"{_oid(content)}"'}
        return httpx2.Response(200, headers=headers, content=content)

    return answer


def commit_of(revision: str) -> str:
    """The commit that a revision of `hub_with_revisions` points at."""
    return hashlib.sha1(revision.encode()).hexdigest()


def _info(
    repo: str,
    revision: str,
    revisions: Mapping[str, Mapping[str, str]],
) -> httpx2.Response:
    if revision not in revisions and revision not in map(commit_of, revisions):
        headers = {"X-Error-Code": "RevisionNotFound"}
        return httpx2.Response(404, headers=headers)
    commit = commit_of(revision) if revision in revisions else revision
    info = {"id": repo, "sha": commit, "siblings": [], "tags": []}
    return httpx2.Response(200, json=info)


def _tree(files: Mapping[str, str], folder: str) -> list[dict[str, object]]:
    return [
        {
            "type": "file",
            "path": name,
            "size": len(content.encode()),
            "oid": _oid(content.encode()),
        }
        for name, content in files.items()
        if name.startswith(folder)
    ]


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
