# -*- coding: utf-8 -*-
"""Uploads files to a model repository of the Hugging Face hub.

Only on request, with a token that may write, which is never shown. Deletes
nothing there. Raises ModelAccessError.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import ModelAccessError
from .hub_access import (
    TOKEN_PAGE,
    TOKEN_VARIABLES,
    HubRepository,
    check_token,
    http_error,
)

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

Visibility = Literal["private", "public"]

_WRITE_FIX = (
    f"put a token with write access, from {TOKEN_PAGE}, into "
    f"{TOKEN_VARIABLES}; the owner must be its account, or an organisation "
    "in which it may write"
)


def prepare_repository(
    repository: HubRepository,
    visibility: Visibility | None = None,
) -> None:
    """Make the repository where it is not there yet.

    Before what is uploaded is made, which may take long: a token that may
    not write is found out now.

    Args:
        repository (`HubRepository`):
            Where to, and as whom.
        visibility (`Literal["private", "public"] | None`, optional):
            Of a repository that is made now; None for the account's default.
            One that is there must be private where that is wanted.

    Raises:
        `ModelAccessError`: There is no token, the hub refuses it or cannot
            be reached, or the repository is public.
    """
    from huggingface_hub import HfApi

    if repository.token is None:
        raise ModelAccessError(
            f"no token to upload to {repository.repo_id} with",
            fix=_WRITE_FIX,
        )
    hub = HfApi(token=repository.token)
    with _translated_errors(repository):
        _refuse_a_reader(hub.whoami(), repository)
        hub.create_repo(
            repository.repo_id,
            visibility=visibility,
            exist_ok=True,
        )
        if visibility == "private":
            _refuse_a_public(hub.repo_info(repository.repo_id), repository)


def upload_files(
    files: Mapping[str, Path | bytes],
    repository: HubRepository,
    message: str,
) -> str:
    """Upload files as one commit to a repository that is there.

    Args:
        files (`Mapping[str, Path | bytes]`):
            By their names there, where they lie or what they hold.
        repository (`HubRepository`):
            Where to, and as whom.
        message (`str`):
            Of the commit.

    Returns:
        `str`: The page of the repository.

    Raises:
        `ModelAccessError`: The hub refuses, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    with _translated_errors(repository):
        done = HfApi(token=repository.token).create_commit(
            repository.repo_id,
            [CommitOperationAdd(name, one) for name, one in files.items()],
            commit_message=message,
        )
    return str(done.repo_url)


def _refuse_a_reader(
    account: Mapping[str, Any],
    repository: HubRepository,
) -> None:
    """To make a repository that is there already succeeds with any token."""
    token = account.get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        raise ModelAccessError(
            f"the token may not write to {repository.repo_id}: it is one "
            f"that only reads",
            fix=_WRITE_FIX,
        )


def _refuse_a_public(info: "ModelInfo", repository: HubRepository) -> None:
    if not info.private:
        raise ModelAccessError(
            f"{repository.repo_id} is there already and is public; nothing "
            f"was uploaded",
            fix=f"make it private at {repository.page}/settings, choose "
            "another name, or leave --private out",
        )


@contextmanager
def _translated_errors(repository: HubRepository) -> Iterator[None]:
    check_token(repository.token)
    try:
        yield
    # RuntimeError is what the library for large files raises.
    except (http_error(), OSError, RuntimeError) as error:
        raise _explained(error, repository) from error


def _explained(
    error: Exception,
    repository: HubRepository,
) -> ModelAccessError:
    response = getattr(error, "response", None)
    if response is None:
        return ModelAccessError(
            f"{repository.repo_id} could not be uploaded: the hub cannot be "
            f"reached ({type(error).__name__})",
            fix="connect to the network, unset HF_HUB_OFFLINE, and run it "
            "again",
        )
    status = response.status_code
    if status in (401, 403, 404):
        return ModelAccessError(
            f"{repository.repo_id} could not be uploaded: the hub refused "
            f"the token ({status})",
            fix=_WRITE_FIX,
        )
    return ModelAccessError(
        f"{repository.repo_id} could not be uploaded: the hub answered "
        f"{status}",
        fix="compare the name with what the hub allows, or try again later",
    )
