# -*- coding: utf-8 -*-
"""Uploads to a hub that speaks the real one's HTTP on the loopback."""

from pathlib import Path

import pytest
from huggingface_hub import constants
from model_hub import TOKEN, Hub, fixture_hub  # noqa: F401

from local_llm.errors import ModelAccessError
from local_llm.hub_access import HubRepository
from local_llm.hub_upload import check_upload, upload_folder

REPOSITORY = HubRepository("model", "owner/name", token=TOKEN)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "README.md").write_text("# A card\n")
    (folder / "adapter_model.safetensors").write_bytes(bytes(100_000))
    return folder


def test_every_file_arrives_as_it_is(hub: Hub, folder: Path) -> None:
    page = upload_folder(folder, REPOSITORY, None)
    assert page == f"{hub.url}/owner/name"
    assert hub.files == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_the_token_goes_to_the_hub_as_a_header_alone(
    hub: Hub,
    folder: Path,
) -> None:
    upload_folder(folder, REPOSITORY, None)
    assert TOKEN in hub.tokens
    assert not any(TOKEN in path for path in hub.paths)


@pytest.mark.parametrize(
    ("visibility", "sent"),
    [("private", "private"), (None, None)],
)
def test_a_repository_is_private_where_that_is_wanted(
    hub: Hub,
    folder: Path,
    visibility: str | None,
    sent: str | None,
) -> None:
    upload_folder(folder, REPOSITORY, visibility)
    assert hub.created.get("visibility") == sent


def test_a_repository_that_exists_is_used(hub: Hub, folder: Path) -> None:
    hub.statuses["/repos/create"] = 409
    upload_folder(folder, REPOSITORY, None)
    assert sorted(hub.files) == ["README.md", "adapter_model.safetensors"]


def test_a_check_writes_nothing(hub: Hub) -> None:
    check_upload(REPOSITORY)
    assert hub.paths == ["/api/whoami-v2"]


def test_without_a_token_the_hub_is_not_asked(hub: Hub) -> None:
    with pytest.raises(ModelAccessError, match="no token to upload") as e:
        check_upload(HubRepository("model", "owner/name"))
    assert "HF_TOKEN" in e.value.fix
    assert hub.paths == []


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("path", ["/repos/create", "/commit/"])
def test_a_token_that_may_not_write_is_told_how_to(
    hub: Hub,
    folder: Path,
    path: str,
    status: int,
) -> None:
    hub.statuses[path] = status
    hub.statuses["/api/models/owner/name"] = status
    with pytest.raises(ModelAccessError, match="refused the token") as e:
        upload_folder(folder, REPOSITORY, None)
    assert "write access" in e.value.fix
    assert TOKEN not in str(e.value)


def test_a_token_that_the_hub_does_not_know_is_found_early(hub: Hub) -> None:
    hub.statuses["/whoami-v2"] = 401
    with pytest.raises(ModelAccessError, match="refused the token"):
        check_upload(REPOSITORY)


def test_a_hub_that_fails_is_named_with_its_status(
    hub: Hub,
    folder: Path,
) -> None:
    hub.statuses["/repos/create"] = 400
    with pytest.raises(ModelAccessError, match="the hub answered 400"):
        upload_folder(folder, REPOSITORY, None)


def test_a_hub_that_cannot_be_reached_is_said_to_be_so(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelAccessError, match="cannot be reached"):
        check_upload(REPOSITORY)


def test_a_token_with_a_line_break_is_refused_unseen(hub: Hub) -> None:
    broken = HubRepository("model", "owner/name", token=f"{TOKEN}\n")
    with pytest.raises(ModelAccessError, match="line break") as e:
        check_upload(broken)
    assert TOKEN not in str(e.value)
