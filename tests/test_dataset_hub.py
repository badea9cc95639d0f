# -*- coding: utf-8 -*-
"""What the hub answers becomes rows, or an error that says what to do.

The libraries are the real ones; only the network below them is replaced.
"""

import errno
import json
from pathlib import Path
from typing import Any

import datasets
import httpx2
import pytest
from fake_hub import (
    SetHub,
    answering,
    hub_with_files,
    hub_with_revisions,
)
from huggingface_hub import constants

from local_llm.dataset_hub import HubDataset, read_hub
from local_llm.errors import DatasetError, LocalLLMError, ModelAccessError
from local_llm.row_values import TableObject

REPO = "GAIR/lima"
PAGE = f"https://huggingface.co/datasets/{REPO}"
TOKEN = "hf_SecretSecretSecretSecret"
ROWS = [
    {"conversations": ["a", "b"], "source": "x"},
    {"conversations": ["c"], "source": "y"},
]


def error_of(source: HubDataset) -> LocalLLMError:
    with pytest.raises(LocalLLMError) as caught:
        list(read_hub(source))
    return caught.value


def source_in(tmp_path: Path, **more: Any) -> HubDataset:
    return HubDataset(REPO, cache_dir=tmp_path / "cache", **more)


REFUSALS = {
    "no token": (
        answering(401, "GatedRepo"),
        None,
        "is gated and no token was given",
    ),
    "token refused, gated": (
        answering(401, "GatedRepo"),
        TOKEN,
        "the hub refused the token",
    ),
    "token refused": (
        answering(401, "", "Invalid credentials in Authorization header"),
        TOKEN,
        "the hub refused the token",
    ),
    "licence": (
        answering(403, "GatedRepo"),
        TOKEN,
        "has not been granted access (licence not accepted)",
    ),
    "token without the permission": (
        answering(403),
        TOKEN,
        "is disabled, or not open to this token",
    ),
    "unknown, no token": (
        answering(401),
        None,
        "does not exist, or is private and no token given",
    ),
    "unknown, token": (
        answering(404, "RepoNotFound"),
        TOKEN,
        "does not exist, or is private and this token may not read it",
    ),
}


@pytest.mark.parametrize("case", list(REFUSALS))
def test_a_refusal_says_which_it_is_names_page_and_variables_not_the_token(
    tmp_path: Path,
    hub: SetHub,
    case: str,
) -> None:
    handler, token, text = REFUSALS[case]
    hub(handler)
    error = error_of(source_in(tmp_path, token=token))
    assert isinstance(error, ModelAccessError)
    assert error.message.startswith(f"dataset {REPO} ")
    assert text in error.message
    assert PAGE in str(error)
    assert "HF_TOKEN or HUGGINGFACE_TOKEN" in str(error)
    assert TOKEN not in str(error)


def test_a_token_of_the_environment_counts_as_given(
    tmp_path: Path,
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub(answering(401, "GatedRepo"))
    error = error_of(source_in(tmp_path))
    assert "the hub refused the token" in error.message
    assert TOKEN not in str(error)


def test_an_unknown_revision_is_named(tmp_path: Path, hub: SetHub) -> None:
    hub(answering(404, "RevisionNotFound"))
    error = error_of(source_in(tmp_path, revision="v9"))
    assert isinstance(error, ModelAccessError)
    assert error.message == f"dataset {REPO} has no revision 'v9'"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_in_trouble_is_not_a_problem_of_access(
    tmp_path: Path,
    hub: SetHub,
    status: int,
) -> None:
    hub(answering(status))
    error = error_of(source_in(tmp_path))
    assert isinstance(error, ModelAccessError)
    assert error.message == (
        f"dataset {REPO} could not be read: the hub answered {status}"
    )


def test_offline_and_not_cached_says_what_is_missing_and_how_to_get_it(
    tmp_path: Path,
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = hub(answering(500))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    error = error_of(source_in(tmp_path))
    assert isinstance(error, ModelAccessError)
    assert "not in the cache" in error.message
    assert "HF_HUB_OFFLINE is set" in error.message
    assert f"hf download {REPO} --repo-type dataset" in str(error.fix)
    assert not requests


def test_no_network_and_not_cached_is_told_from_a_refusal(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    def no_network(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Name or service not known", request=request)

    hub(no_network)
    error = error_of(source_in(tmp_path, token=TOKEN))
    assert isinstance(error, ModelAccessError)
    assert "the hub cannot be reached" in error.message


@pytest.mark.parametrize("token", ["hf_a\nb", "hf_\u00e9", "hf_a\x00"])
def test_a_token_that_no_header_can_carry_is_never_shown(
    tmp_path: Path,
    token: str,
) -> None:
    error = error_of(source_in(tmp_path, token=token))
    assert isinstance(error, ModelAccessError)
    assert token not in str(error)
    assert error.__cause__ is None


def test_the_token_is_not_in_the_text_form_of_the_source() -> None:
    assert TOKEN not in repr(HubDataset(REPO, token=TOKEN))


def test_a_dataset_with_a_script_is_read_from_its_file_without_running_it(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    canary = tmp_path / "script ran"
    lines = "\n".join(json.dumps(row) for row in ROWS)
    requests = hub(
        hub_with_files(
            REPO,
            {
                "lima.py": f"open({str(canary)!r}, 'w').close()",
                "train.jsonl": lines,
            },
        ),
    )
    found = list(read_hub(source_in(tmp_path, token=TOKEN)))
    assert found == [
        (f"{REPO}/train.jsonl row 1", ROWS[0]),
        (f"{REPO}/train.jsonl row 2", ROWS[1]),
    ]
    assert not canary.exists()
    sent = {request.headers.get("authorization") for request in requests}
    assert sent == {f"Bearer {TOKEN}"}


def test_a_dataset_with_a_script_and_no_file_of_rows_is_refused(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    hub(hub_with_files(REPO, {"lima.py": "raise SystemExit"}))
    error = error_of(source_in(tmp_path))
    assert isinstance(error, DatasetError)
    assert "loading script, which is never run" in error.message
    assert "no file train.jsonl" in error.message


def test_the_places_that_a_table_fills_are_told_from_nulls(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = datasets.Dataset.from_list([{"a": {"x": 1}}, {"a": {"y": 2}}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    rows = [row for _, row in read_hub(source_in(tmp_path))]
    assert rows[0] == {"a": {"x": 1, "y": None}}
    assert isinstance(rows[0]["a"], TableObject)


def test_a_table_is_read_row_by_row(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    def load_dataset(path: str, name: str, **options: Any) -> datasets.Dataset:
        asked.update(options, path=path, name=name)
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    source = source_in(
        tmp_path,
        config="de",
        split="test",
        revision="v1",
        token=TOKEN,
    )
    assert list(read_hub(source)) == [
        (f"{REPO}@v1 (de, test) row 1", ROWS[0]),
        (f"{REPO}@v1 (de, test) row 2", ROWS[1]),
    ]
    assert asked == {
        "path": REPO,
        "name": "de",
        "split": "test",
        "revision": "v1",
        "token": TOKEN,
        "cache_dir": str(tmp_path / "cache"),
    }


def raised_by_load(
    error: Exception,
    cause: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
) -> LocalLLMError:
    def load_dataset(*_args: object, **_options: object) -> None:
        raise error from cause

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return error_of(HubDataset(REPO, token=TOKEN))


@pytest.mark.parametrize(
    ("error", "cause", "text"),
    [
        (ValueError("Unknown split 'train'"), None, "Unknown split 'train'"),
        (
            datasets.exceptions.DatasetGenerationError("An error occurred"),
            ValueError(f"bad cell {TOKEN}\nmore"),
            "bad cell ***",
        ),
        (
            datasets.exceptions.DataFilesNotFoundError("No data files"),
            None,
            "No data files",
        ),
        (RuntimeError("something else"), None, "something else"),
    ],
)
def test_a_dataset_that_is_reached_and_holds_no_rows_is_a_dataset_error(
    error: Exception,
    cause: Exception | None,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = raised_by_load(error, cause, monkeypatch)
    assert isinstance(found, DatasetError)
    assert found.message.endswith(text)
    assert f"split 'train' of {REPO}" in found.message
    assert TOKEN not in str(found)


def test_a_connection_lost_while_loading_is_a_problem_of_access(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = raised_by_load(
        datasets.exceptions.DatasetGenerationError("An error occurred"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        monkeypatch,
    )
    assert isinstance(found, ModelAccessError)
    assert "cannot be reached" in found.message


def test_a_full_disk_is_told_from_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    found = raised_by_load(full, None, monkeypatch)
    assert isinstance(found, ModelAccessError)
    assert "No space left on device" in found.message
    assert "free some disk space" in str(found.fix)


CARD = """---
configs:
- config_name: en
  data_files:
  - split: train
    path: en/train.jsonl
- config_name: de
  data_files:
  - split: train
    path: de/train.jsonl
  - split: dev
    path: de/dev.jsonl
---
"""


def files_of(revision: str) -> dict[str, str]:
    names = ("en/train", "de/train", "de/dev")
    files = {
        f"{name}.jsonl": json.dumps({"text": f"{name} {revision}"})
        for name in names
    }
    return {"README.md": CARD, **files}


def revisions() -> dict[str, dict[str, str]]:
    return {name: files_of(name) for name in ("main", "v1")}


@pytest.mark.parametrize(
    ("config", "split", "revision", "label", "text"),
    [
        ("en", "train", None, f"{REPO} (en)", "en/train main"),
        ("de", "dev", None, f"{REPO} (de, dev)", "de/dev main"),
        ("de", "train", "v1", f"{REPO}@v1 (de)", "de/train v1"),
    ],
)
def test_config_split_and_revision_choose_the_rows(
    tmp_path: Path,
    hub: SetHub,
    config: str,
    split: str,
    revision: str | None,
    label: str,
    text: str,
) -> None:
    hub(hub_with_revisions(REPO, revisions()))
    source = source_in(
        tmp_path,
        config=config,
        split=split,
        revision=revision,
    )
    assert list(read_hub(source)) == [(f"{label} row 1", {"text": text})]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({}, "Config name is missing"),
        ({"config": "fr"}, "'fr' not found"),
        ({"config": "en", "split": "dev"}, "split 'dev'"),
    ],
)
def test_a_config_or_split_that_is_not_there_is_an_error(
    tmp_path: Path,
    hub: SetHub,
    chosen: dict[str, str],
    text: str,
) -> None:
    hub(hub_with_revisions(REPO, revisions()))
    error = error_of(source_in(tmp_path, **chosen))
    assert isinstance(error, DatasetError)
    assert text in error.message
    assert PAGE in str(error.fix)


def test_a_revision_that_is_not_there_is_an_error(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    hub(hub_with_revisions(REPO, revisions()))
    error = error_of(source_in(tmp_path, config="en", revision="v2"))
    assert isinstance(error, ModelAccessError)
    assert "'v2'" in error.message


def test_a_script_with_a_config_is_read_from_the_folder_of_its_name(
    tmp_path: Path,
    hub: SetHub,
) -> None:
    files = {"lima.py": "raise SystemExit", "de/train.jsonl": '{"text": "a"}'}
    hub(hub_with_revisions(REPO, {"main": files}))
    found = list(read_hub(source_in(tmp_path, config="de")))
    assert found == [(f"{REPO} (de)/train.jsonl row 1", {"text": "a"})]
