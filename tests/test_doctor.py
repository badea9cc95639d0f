# -*- coding: utf-8 -*-
"""The doctor finds what there is, in order, and never shows the token."""

from pathlib import Path

import httpx2
import pytest
from fake_hub import SetHub, answering, gated, hub_with_files

from local_llm import doctor
from local_llm.doctor import Finding, examine, has_gpu
from local_llm.hub_access import HubRepository
from local_llm.reports import library_versions

TOKEN = "hf_SecretSecretSecretSecret"
GEMMA = "google/gemma-7b"


def repository(token: str | None = None) -> HubRepository:
    return HubRepository("model", GEMMA, token=token)


def found(findings: list[Finding], name: str) -> str:
    (one,) = [one for one in findings if one.name == name]
    return one.found


def access(folder: Path, token: str | None = None) -> str:
    return found(examine(folder, token, [repository(token)]), GEMMA)


def unreachable(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("no route to host", request=request)


def slow(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("too slow", request=request)


# -- what is examined -----------------------------------------------------


def test_the_findings_have_their_names_in_order(tmp_path: Path) -> None:
    names = [one.name for one in examine(tmp_path, None, [])]
    assert names == [
        "device",
        "number format",
        "python",
        "agentscope",
        "torch",
        "transformers",
        "trl",
        "peft",
        "bitsandbytes",
        "datasets",
        "accelerate",
        "free disk",
        "free memory",
        "hub token",
    ]


def test_repositories_come_last_in_the_order_given(
    hub: SetHub,
    tmp_path: Path,
) -> None:
    hub(answering(200))
    wanted = [repository(), HubRepository("dataset", "GAIR/lima")]
    names = [one.name for one in examine(tmp_path, None, wanted)]
    assert names[-3:] == ["hub token", GEMMA, "GAIR/lima"]


def test_the_versions_are_those_of_the_reports(tmp_path: Path) -> None:
    findings = {one.name: one.found for one in examine(tmp_path, None, [])}
    assert library_versions().items() <= findings.items()


def test_space_is_told_of_the_nearest_folder_that_exists(
    tmp_path: Path,
) -> None:
    findings = examine(tmp_path / "not" / "there", None, [])
    assert found(findings, "free disk").endswith(f" GiB at {tmp_path}")


def test_the_free_memory_is_what_a_dry_run_compares_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "local_llm.memory.free_memory_bytes",
        lambda device: 3 * 2**29 if device.type == "cpu" else 0,
    )
    findings = examine(tmp_path, None, [])
    assert found(findings, "free memory") == "1.5 GiB"


def test_a_driver_without_a_gpu_build_is_pointed_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "has_gpu", lambda: False)
    monkeypatch.setattr(doctor, "_has_nvidia_driver", lambda: True)
    device = found(examine(tmp_path, None, []), "device")
    assert device.endswith("so install a CUDA build")
    monkeypatch.setattr(doctor, "_has_nvidia_driver", lambda: False)
    assert "CUDA build" not in found(examine(tmp_path, None, []), "device")


def test_whether_there_is_a_gpu_is_what_torch_says() -> None:
    import torch

    assert has_gpu() == torch.cuda.is_available()


# -- the token ------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "said"),
    [(TOKEN, "found"), (None, "none"), ("", "none")],
)
def test_of_the_token_only_its_presence_is_told(
    token: str | None,
    said: str,
    tmp_path: Path,
) -> None:
    assert found(examine(tmp_path, token, []), "hub token") == said


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_the_token_is_never_shown(
    status: int,
    hub: SetHub,
    tmp_path: Path,
) -> None:
    hub(answering(status, message=f"refused {TOKEN[:3]}"))
    findings = examine(tmp_path, TOKEN, [repository(TOKEN)])
    assert TOKEN not in repr(findings)


def test_a_token_that_no_request_can_carry_is_not_shown_either(
    hub: SetHub,
    tmp_path: Path,
) -> None:
    requests = hub(answering(200))
    said = access(tmp_path, f"{TOKEN}\n")
    assert "holds a line break" in said
    assert TOKEN not in said
    assert requests == []


# -- access ---------------------------------------------------------------


def test_what_everybody_may_read_is_open(hub: SetHub, tmp_path: Path) -> None:
    hub(hub_with_files(GEMMA, {}))
    assert access(tmp_path) == "open"


def test_what_the_token_opens_is_open_to_it(
    hub: SetHub,
    tmp_path: Path,
) -> None:
    hub(gated(hub_with_files(GEMMA, {})))
    assert access(tmp_path, TOKEN) == "open to this token"


@pytest.mark.parametrize(
    ("status", "code", "token", "said"),
    [
        (401, "GatedRepo", None, "gated and no token was given"),
        (401, "", TOKEN, "the hub refused the token"),
        (403, "GatedRepo", TOKEN, "licence not accepted"),
        (404, "RepoNotFound", None, "does not exist, or is private"),
        (500, "", None, "the hub answered 500"),
    ],
)
def test_a_refusal_is_explained(
    status: int,
    code: str,
    token: str | None,
    said: str,
    hub: SetHub,
    tmp_path: Path,
) -> None:
    hub(answering(status, code))
    assert said in access(tmp_path, token)


@pytest.mark.parametrize("handler", [unreachable, slow])
def test_a_hub_that_does_not_answer_leaves_access_unknown(
    handler: object,
    hub: SetHub,
    tmp_path: Path,
) -> None:
    hub(handler)  # type: ignore[arg-type]
    assert access(tmp_path) == "unknown, the hub cannot be reached"


def test_offline_mode_leaves_access_unknown(
    hub: SetHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub(answering(200))
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE",
        True,
    )
    assert access(tmp_path).startswith("unknown")


def test_one_that_is_closed_does_not_hide_the_next(
    hub: SetHub,
    tmp_path: Path,
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        closed = answering(401, "GatedRepo")
        return (closed if GEMMA in str(request.url) else answering(200))(
            request,
        )

    hub(answer)
    wanted = [repository(), HubRepository("dataset", "GAIR/lima")]
    findings = examine(tmp_path, None, wanted)
    assert "is gated" in found(findings, GEMMA)
    assert found(findings, "GAIR/lima") == "open"
