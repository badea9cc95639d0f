# -*- coding: utf-8 -*-
"""Uploads a folder to a model repository of the Hugging Face hub.

Only on request, with a token that may write, which is never shown. Deletes
nothing there. Raises ModelAccessError.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ModelAccessError
from .hub_access import (
    TOKEN_PAGE,
    TOKEN_VARIABLES,
    HubRepository,
    check_token,
    http_error,
)

_WRITE_FIX = (
    f"put a token with write access, from {TOKEN_PAGE}, into "
    f"{TOKEN_VARIABLES}; the owner must be its account, or an organisation "
    "in which it may write"
)


def check_upload(repository: HubRepository) -> None:
    """Find out whether the hub knows the token; writes nothing.

    Raises:
        `ModelAccessError`: There is no token, or the hub refuses it or
            cannot be reached.
    """
    from huggingface_hub import HfApi

    if repository.token is None:
        raise ModelAccessError(
            f"no token to upload to {repository.repo_id} with",
            fix=_WRITE_FIX,
        )
    with _translated_errors(repository):
        HfApi(token=repository.token).whoami()


def upload_folder(
    folder: Path,
    repository: HubRepository,
    visibility: str | None,
) -> str:
    """Upload a folder as one commit; the repository is made where needed.

    Args:
        folder (`Path`):
            What to upload, all of it.
        repository (`HubRepository`):
            Where to, and as whom.
        visibility (`str | None`):
            `private` or `public` for a repository that is made now; None for
            the account's default.

    Returns:
        `str`: The page of the repository.

    Raises:
        `ModelAccessError`: The hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    hub = HfApi(token=repository.token)
    with _translated_errors(repository):
        made = hub.create_repo(
            repository.repo_id,
            visibility=visibility,
            exist_ok=True,
        )
        hub.upload_folder(
            repo_id=repository.repo_id,
            folder_path=folder,
            commit_message=f"Upload {folder.name}",
        )
    return str(made)


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
