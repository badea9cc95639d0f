# -*- coding: utf-8 -*-
"""Where the token comes from, and that it is never shown."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_llm.errors import ConfigError
from local_llm.settings import hub_token

CANARY = "hf_CANARY0123456789abcdefghijklmnop"


@pytest.fixture(name="env_file")
def empty_environment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An environment without a token, and where its `.env` would stand."""
    for name in ("HF_TOKEN", "HUGGINGFACE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def value_of(env_file: Path) -> str | None:
    """The token in the clear."""
    token = hub_token(env_file)
    return None if token is None else token.get_secret_value()


def write(env_file: Path, text: str, mode: int = 0o600) -> None:
    """A `.env` file."""
    env_file.write_text(text, encoding="utf-8")
    env_file.chmod(mode)


def test_without_a_token_there_is_none(env_file: Path) -> None:
    assert value_of(env_file) is None
    write(env_file, "HF_TOKEN=\nOTHER=x\n")
    assert value_of(env_file) is None


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGINGFACE_TOKEN"])
def test_either_name_is_read_from_the_file(env_file: Path, name: str) -> None:
    write(env_file, f"\ufeff{name} = '{CANARY}'\n")
    assert value_of(env_file) == CANARY


def test_hf_token_comes_before_huggingface_token(
    env_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(env_file, "HUGGINGFACE_TOKEN=second\nHF_TOKEN=first\n")
    assert value_of(env_file) == "first"
    monkeypatch.setenv("HUGGINGFACE_TOKEN", "environment")
    assert value_of(env_file) == "environment"
    monkeypatch.setenv("HF_TOKEN", " environment-first ")
    assert value_of(env_file) == "environment-first"


def test_the_file_changes_no_environment(env_file: Path) -> None:
    write(env_file, f"HF_TOKEN={CANARY}\n")
    hub_token(env_file)
    assert "HF_TOKEN" not in os.environ


def test_a_token_prints_as_stars(env_file: Path) -> None:
    write(env_file, f"HF_TOKEN={CANARY}\n")
    token = hub_token(env_file)
    assert CANARY not in f"{token} {token!r}"


@pytest.mark.parametrize(
    "data",
    [
        b"HF_TOKEN=canary\xff\n",
        "HF_TOKEN=canary\N{SNOWMAN}\n".encode(),
        b"HF_TOKEN='canary canary'\n",
        b'HF_TOKEN="canary\ncanary"\n',
    ],
)
def test_a_token_that_cannot_be_one_is_refused_unseen(
    env_file: Path,
    data: bytes,
) -> None:
    env_file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        hub_token(env_file)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_is_no_env_file(env_file: Path) -> None:
    env_file.mkdir()
    assert value_of(env_file) is None


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize(
    ("mode", "warned"),
    [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)],
)
def test_a_file_that_others_can_read_warns_once(
    env_file: Path,
    caplog: pytest.LogCaptureFixture,
    mode: int,
    warned: int,
) -> None:
    write(env_file, f"HF_TOKEN={CANARY}\n", mode)
    with caplog.at_level(logging.WARNING, "local_llm.settings"):
        hub_token(env_file)
        hub_token(env_file)
    assert len(caplog.messages) == warned
    assert CANARY not in caplog.text


def test_importing_the_settings_reads_no_environment() -> None:
    code = (
        "import os\n"
        "class Watched(dict):\n"
        "    def get(self, key, *default):\n"
        "        assert 'TOKEN' not in key\n"
        "        return super().get(key, *default)\n"
        "    __getitem__ = get\n"
        "os.environ = Watched(os.environ)\n"
        "import local_llm.settings\n"
        "print(type(os.environ).__name__)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.stdout.strip(), run.stderr) == ("Watched", "")
