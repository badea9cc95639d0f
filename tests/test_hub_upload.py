# -*- coding: utf-8 -*-
"""Uploads to a hub that speaks the real one's HTTP on the loopback."""

from pathlib import Path

import pytest
from huggingface_hub import constants
from model_hub import TOKEN, Hub, fixture_hub  # noqa: F401

from local_llm.errors import ModelAccessError
from local_llm.hub_access import HubRepository
from local_llm.hub_upload import Visibility, prepare_repository, upload_files

REPOSITORY = HubRepository("model", "owner/name", token=TOKEN)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "README.md").write_text("# A card\n")
    (folder / "adapter_model.safetensors").write_bytes(bytes(100_000))
    return folder


def upload(folder: Path) -> str:
    files: dict[str, Path | bytes] = {
        path.name: path for path in folder.iterdir()
    }
    files = {**files, "made.json": b"{}"}
    return upload_files(files, REPOSITORY, "Upload run")


# -- the repository --------------------------------------------------------


def test_a_repository_is_made_before_anything_is_uploaded(hub: Hub) -> None:
    prepare_repository(REPOSITORY)
    assert hub.created["name"] == "name"
    assert hub.files == {}


@pytest.mark.parametrize(
    ("visibility", "sent"),
    [("private", "private"), (None, None)],
)
def test_a_repository_is_private_where_that_is_wanted(
    hub: Hub,
    visibility: Visibility | None,
    sent: str | None,
) -> None:
    prepare_repository(REPOSITORY, visibility)
    assert hub.created.get("visibility") == sent


def test_a_repository_that_exists_is_used(hub: Hub, folder: Path) -> None:
    hub.statuses["/repos/create"] = 409
    prepare_repository(REPOSITORY)
    upload(folder)
    assert "README.md" in hub.files


def test_a_public_repository_is_not_taken_for_a_private_one(hub: Hub) -> None:
    hub.statuses["/repos/create"] = 409
    with pytest.raises(ModelAccessError, match="already and is public") as e:
        prepare_repository(REPOSITORY, "private")
    assert "https://huggingface.co/owner/name/settings" in e.value.fix
    hub.private = True
    prepare_repository(REPOSITORY, "private")


def test_a_token_that_only_reads_is_refused_at_once(hub: Hub) -> None:
    hub.account["auth"]["accessToken"]["role"] = "read"
    with pytest.raises(ModelAccessError, match="one that only reads") as e:
        prepare_repository(REPOSITORY)
    assert "write access" in e.value.fix
    assert hub.paths == ["/api/whoami-v2"]


def test_an_account_that_does_not_say_what_it_may_is_tried(hub: Hub) -> None:
    del hub.account["auth"]
    prepare_repository(REPOSITORY)
    assert hub.created


def test_without_a_token_the_hub_is_not_asked(hub: Hub) -> None:
    with pytest.raises(ModelAccessError, match="no token to upload") as e:
        prepare_repository(HubRepository("model", "owner/name"))
    assert "HF_TOKEN" in e.value.fix
    assert hub.paths == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_may_not_write_is_told_how_to(
    hub: Hub,
    status: int,
) -> None:
    hub.statuses["/repos/create"] = status
    hub.statuses["/api/models/owner/name"] = status
    with pytest.raises(ModelAccessError, match="refused the token") as e:
        prepare_repository(REPOSITORY)
    assert "write access" in e.value.fix
    assert TOKEN not in str(e.value)


def test_a_token_that_the_hub_does_not_know_is_found_early(hub: Hub) -> None:
    hub.statuses["/whoami-v2"] = 401
    with pytest.raises(ModelAccessError, match="refused the token"):
        prepare_repository(REPOSITORY)


def test_a_hub_that_fails_is_named_with_its_status(hub: Hub) -> None:
    hub.statuses["/repos/create"] = 400
    with pytest.raises(ModelAccessError, match="the hub answered 400"):
        prepare_repository(REPOSITORY)


def test_a_hub_that_cannot_be_reached_is_said_to_be_so(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelAccessError, match="cannot be reached"):
        prepare_repository(REPOSITORY)


def test_a_token_with_a_line_break_is_refused_unseen(hub: Hub) -> None:
    broken = HubRepository("model", "owner/name", token=f"{TOKEN}\n")
    with pytest.raises(ModelAccessError, match="line break") as e:
        prepare_repository(broken)
    assert TOKEN not in str(e.value)


# -- the files -------------------------------------------------------------


def test_every_file_arrives_as_it_is(hub: Hub, folder: Path) -> None:
    assert upload(folder) == f"{hub.url}/owner/name"
    lying = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert hub.files == {**lying, "made.json": b"{}"}


def test_the_token_goes_to_the_hub_as_a_header_alone(
    hub: Hub,
    folder: Path,
) -> None:
    upload(folder)
    assert TOKEN in hub.tokens
    assert not any(TOKEN in path for path in hub.paths)


@pytest.mark.parametrize("status", [401, 403])
def test_a_commit_that_is_refused_is_explained(
    hub: Hub,
    folder: Path,
    status: int,
) -> None:
    hub.statuses["/commit/"] = status
    with pytest.raises(ModelAccessError, match="refused the token") as e:
        upload(folder)
    assert "write access" in e.value.fix
    assert TOKEN not in str(e.value)
