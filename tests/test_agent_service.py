# -*- coding: utf-8 -*-
"""What a service needs is found out, and told, before it starts."""

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest

import agent_service
from agent_service import (
    ServiceSettings,
    bound_socket,
    check_packages,
    is_loopback,
    opened_storage,
)
from local_llm.errors import ConfigError, GenerationError, ServiceError


def kept_in(path: Path) -> ServiceSettings:
    return ServiceSettings("127.0.0.1", 0, path)


def tables(path: Path) -> set[str]:
    rows = sqlite3.connect(path).execute("SELECT name FROM sqlite_master")
    return {name for (name,) in rows}


# -- packages --------------------------------------------------------------


def test_with_all_packages_nothing_is_told() -> None:
    check_packages()


def test_all_missing_packages_are_told_at_once(monkeypatch) -> None:
    names = ("sqlite3", "no_such_one", "nor_this")
    monkeypatch.setattr(agent_service, "PACKAGES", names)
    with pytest.raises(ConfigError) as caught:
        check_packages()
    assert [one.split()[2] for one in caught.value.problems] == [
        "no_such_one",
        "nor_this",
    ]
    assert caught.value.fix == "pip install -r requirements-service.txt"


# -- the storage -----------------------------------------------------------


def test_a_storage_is_made_with_its_folder(tmp_path) -> None:
    path = tmp_path / "new" / "agents.db"
    with opened_storage(kept_in(path)):
        assert {"agents", "sessions", "messages"} <= tables(path)


def test_a_storage_is_opened_again_with_what_is_in_it(tmp_path) -> None:
    path = tmp_path / "agents.db"
    with opened_storage(kept_in(path)):
        before = tables(path)
    with opened_storage(kept_in(path)):
        assert tables(path) == before


def test_two_services_do_not_share_a_storage(tmp_path) -> None:
    path = tmp_path / "agents.db"
    with opened_storage(kept_in(path)):
        with pytest.raises(ServiceError, match="another agent service"):
            with opened_storage(kept_in(path)):
                pass
    with opened_storage(kept_in(path)):
        pass


def test_a_storage_that_another_program_writes_is_told(
    tmp_path,
    monkeypatch,
) -> None:
    path = tmp_path / "agents.db"
    monkeypatch.setattr(agent_service, "_LOCK_S", 0.05)
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ServiceError, match="locked"):
        with opened_storage(kept_in(path)):
            pass
    other.close()


@pytest.mark.parametrize("what", ["text", "folder", "below a file"])
def test_what_cannot_be_a_storage_is_told_and_left_alone(
    tmp_path,
    what,
) -> None:
    path = tmp_path / "agents.db"
    if what == "folder":
        path.mkdir()
    else:
        path.write_text("my own words" * 99)
    wanted = path / "deeper.db" if what == "below a file" else path
    with pytest.raises(ServiceError, match="cannot be used") as caught:
        with opened_storage(kept_in(wanted)):
            pass
    assert "--storage" in str(caught.value)
    assert path.is_dir() or path.read_text() == "my own words" * 99
    assert what != "folder" or [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("name", ["a?mode=memory", "100%.db", "a%20b/c.db"])
def test_a_path_that_would_be_read_as_another_one_is_told(
    tmp_path,
    name,
) -> None:
    with pytest.raises(ServiceError, match="its path has a"):
        with opened_storage(kept_in(tmp_path / name)):
            pass
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a#b.db", "\u00e4 \u00f6.db", "a@b:c.db"])
def test_other_marks_in_a_path_change_no_name(tmp_path, name) -> None:
    with opened_storage(kept_in(tmp_path / name)):
        assert "messages" in tables(tmp_path / name)


def test_a_storage_of_a_newer_agentscope_is_told(tmp_path) -> None:
    path = tmp_path / "agents.db"
    with opened_storage(kept_in(path)):
        pass
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ServiceError, match="9999"):
        with opened_storage(kept_in(path)):
            pass


def test_files_of_agents_lie_beside_the_storage() -> None:
    settings = kept_in(Path("/a/agents.db"))
    assert settings.workspaces == Path("/a/agents-workspaces")


# -- the address -----------------------------------------------------------


def test_an_address_is_taken_at_once_and_free_afterwards() -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        address = taken.getsockname()
        with pytest.raises(ServiceError, match="cannot listen"):
            with bound_socket(*address):
                pass
    with bound_socket(*address):
        pass


def test_an_address_that_is_not_of_this_machine_is_told() -> None:
    for host in ("192.0.2.1", "no.such.host.invalid", "", "a..b", "b" * 70):
        with pytest.raises(ServiceError, match=f"listen at {host}:0"):
            with bound_socket(host, 0):
                pass


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.2", False),
        ("my.host", False),
    ],
)
def test_addresses_of_this_machine_alone_are_known(host, is_own) -> None:
    assert is_loopback(host) is is_own


# -- the log ---------------------------------------------------------------


def logged(error: BaseException) -> logging.LogRecord:
    return logging.LogRecord(
        *("as", logging.ERROR, "file", 1, "Reply %s failed.", ("r",)),
        (type(error), error, None),
    )


def test_an_error_that_a_user_causes_is_one_line_of_the_log() -> None:
    record = logged(GenerationError("too long", fix="be brief"))
    assert agent_service._in_one_line(record)
    text = logging.Formatter().format(record)
    assert text == "Reply r failed. too long\n  fix: be brief"


def test_a_connection_that_ends_with_the_service_is_no_line() -> None:
    assert not agent_service._in_one_line(logged(asyncio.CancelledError()))


def test_a_bug_keeps_its_traceback() -> None:
    record = logged(ValueError("a bug"))
    assert agent_service._in_one_line(record)
    assert record.exc_info is not None
