# -*- coding: utf-8 -*-
"""Errors of the hub say what to do, and never show the token."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from fake_hub import SetHub, answering, gated, hub_with_files
from huggingface_hub import errors, hf_hub_download

from local_llm.errors import ModelAccessError
from local_llm.hub_access import (
    HubRepository,
    causes,
    check_token,
    explain_hub_error,
    hub_answer,
    translated_hub_errors,
)

TOKEN = "hf_SecretSecretSecretSecret"
MODEL = HubRepository("model", "someone/tiny", token=TOKEN)
DATASET = HubRepository("dataset", "someone/data")


@contextmanager
def refusal(repository: HubRepository) -> Iterator[list[ModelAccessError]]:
    """The error that the body leads to, in a list once it is there."""
    found: list[ModelAccessError] = []
    with pytest.raises(ModelAccessError) as caught:
        with translated_hub_errors(repository):
            yield found
    found.append(caught.value)


def read(repository: HubRepository) -> str:
    return hf_hub_download(
        repository.repo_id,
        "config.json",
        repo_type=repository.kind,
        token=repository.token,
        revision=repository.revision,
    )


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        (MODEL, "https://huggingface.co/someone/tiny"),
        (DATASET, "https://huggingface.co/datasets/someone/data"),
    ],
)
def test_the_page_is_that_of_the_repository(
    repository: HubRepository,
    page: str,
) -> None:
    assert repository.page == page


def test_the_token_is_not_in_the_text_form() -> None:
    assert TOKEN not in repr(MODEL)


def test_what_can_be_read_passes(hub: SetHub) -> None:
    hub(gated(hub_with_files(MODEL.repo_id, {"config.json": "{}"})))
    with translated_hub_errors(MODEL):
        path = read(MODEL)
    with open(path, encoding="utf-8") as file:
        assert file.read() == "{}"


@pytest.mark.parametrize(
    ("status", "code", "token", "message", "fix"),
    [
        (401, "GatedRepo", None, "is gated and no token", "accept the cond"),
        (401, "GatedRepo", TOKEN, "refused the token", "a valid token"),
        (403, "GatedRepo", TOKEN, "licence not accepted", "accept the cond"),
        (403, "", TOKEN, "is disabled, or not open", "accept the cond"),
        (404, "RepoNotFound", None, "no token given", "compare the name"),
        (404, "RevisionNotFound", None, "no revision None", "lists"),
        (429, "", None, "the hub answered 429", "try again later"),
        (500, "", None, "the hub answered 500", "try again later"),
    ],
)
def test_every_refusal_has_its_own_text_and_way_out(
    hub: SetHub,
    status: int,
    code: str,
    token: str | None,
    message: str,
    fix: str,
) -> None:
    hub(answering(status, code))
    repository = HubRepository("model", "someone/tiny", token=token)
    with refusal(repository) as found:
        read(repository)
    assert found[0].message.startswith("model someone/tiny ")
    assert message in found[0].message
    assert fix in str(found[0].fix)
    assert repository.page in str(found[0].fix)
    assert TOKEN not in str(found[0])


def test_a_dataset_is_called_one_and_has_the_option_for_it(
    hub: SetHub,
) -> None:
    def no_network(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route", request=request)

    hub(no_network)
    with refusal(DATASET) as found:
        read(DATASET)
    assert found[0].message.startswith("dataset someone/data is not in")
    assert "hf download someone/data --repo-type dataset" in str(found[0].fix)


def test_an_error_that_has_nothing_to_do_with_the_hub_passes_through() -> None:
    with pytest.raises(KeyError), translated_hub_errors(MODEL):
        raise KeyError("x")
    with pytest.raises(OSError, match="^odd$"), translated_hub_errors(MODEL):
        raise OSError("odd")
    assert explain_hub_error(ValueError("x"), MODEL) is None


def test_a_full_disk_is_told_from_a_refusal() -> None:
    with refusal(MODEL) as found:
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "could not be stored: No space left" in found[0].message
    assert "HF_HOME" in str(found[0].fix)


def test_the_reason_is_found_below_the_errors_of_other_libraries() -> None:
    try:
        try:
            raise errors.LocalEntryNotFoundError("not there")
        except OSError as error:
            raise ValueError("cannot load") from error
    except ValueError as error:
        explained = explain_hub_error(error, MODEL)
    assert explained is not None
    assert "is not in the cache" in explained.message


def test_an_answer_counts_more_than_the_cache_that_was_looked_in_after_it(
    hub: SetHub,
) -> None:
    hub(answering(503))
    with refusal(MODEL) as found:
        read(MODEL)
    chain = [type(one) for one in causes(found[0])]
    assert errors.LocalEntryNotFoundError in chain
    assert found[0].message == (
        "model someone/tiny could not be read: the hub answered 503"
    )


@pytest.mark.parametrize("token", ["hf_a\nb", "hf_\u00e9", "hf_a\x00"])
def test_a_token_that_no_request_can_carry_is_refused_unshown(
    token: str,
) -> None:
    with pytest.raises(ModelAccessError) as caught:
        check_token(token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_good_token_and_none_are_accepted(token: str | None) -> None:
    check_token(token)


def test_the_hubs_own_answer_is_its_refusal(hub: SetHub) -> None:
    hub(answering(403, "GatedRepo"))
    assert isinstance(hub_answer(MODEL), errors.GatedRepoError)


def test_there_is_no_answer_where_there_is_access_or_no_network(
    hub: SetHub,
) -> None:
    hub(hub_with_files(MODEL.repo_id, {}))
    assert hub_answer(MODEL) is None

    def no_network(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route", request=request)

    hub(no_network)
    assert hub_answer(MODEL) is None
