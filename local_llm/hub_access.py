# -*- coding: utf-8 -*-
"""Says why a repository of the Hugging Face hub cannot be reached.

Turns the errors of huggingface_hub and of the libraries above it into
ModelAccessError: gated, refused, missing, offline, each with what to do. Never
shows the token; reads nothing itself but, where a library hides the reason,
the hub's own answer on access.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

from .errors import ModelAccessError

TOKEN_VARIABLES = "HF_TOKEN or HUGGINGFACE_TOKEN"
TOKEN_PAGE = "https://huggingface.co/settings/tokens"

_FIXES = {
    "no token": f"accept the conditions at {{page}}, then put a token from "
    f"{TOKEN_PAGE} into {TOKEN_VARIABLES}",
    "refused": f"put a valid token from {TOKEN_PAGE} into {TOKEN_VARIABLES}; "
    "its account needs access to {page}",
    "licence": "accept the conditions at {page} with the account of the token "
    f"in {TOKEN_VARIABLES}; a fine-grained token also needs the permission "
    "to read gated repositories",
    "missing": "compare the name with {page}; for a private one put a token "
    f"that may read it into {TOKEN_VARIABLES}",
    "revision": "choose a revision that {page}/tree/main lists",
    "offline": "connect to the network, or run `hf download {repo_id}"
    "{type_option}` where there is one and copy the cache; a gated one "
    f"({{page}}) also needs a token in {TOKEN_VARIABLES}",
    "storage": "free some disk space, or choose another folder with HF_HOME",
    "later": "try again later; {page} shows whether the hub is up",
}


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository of the hub, and as whom it is read."""

    kind: Literal["model", "dataset"]
    repo_id: str
    token: str | None = field(default=None, repr=False)
    revision: str | None = None

    @property
    def page(self) -> str:
        """The page on which access is granted."""
        folder = "datasets/" if self.kind == "dataset" else ""
        return f"https://huggingface.co/{folder}{self.repo_id}"


@contextmanager
def translated_hub_errors(repository: HubRepository) -> Iterator[None]:
    """Turn what goes wrong between this machine and the hub into an error of
    this package; what has nothing to do with the hub passes through.

    Raises:
        `ModelAccessError`: The repository cannot be reached or stored.
    """
    check_token(repository.token)
    try:
        yield
    except (http_error(), OSError) as error:
        translated = explain_hub_error(error, repository)
        if translated is None:
            raise
        raise translated from error


def check_token(token: str | None) -> None:
    """Refuse a token that no request can carry.

    Raises:
        `ModelAccessError`: It has characters that no token has; the HTTP
            library would quote such a token in its own error.
    """
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ModelAccessError(
            "the Hugging Face token holds a line break or a character that "
            "no token has",
            fix=f"set {TOKEN_VARIABLES} again, from {TOKEN_PAGE}",
        )


def explain_hub_error(
    error: BaseException,
    repository: HubRepository,
) -> ModelAccessError | None:
    """The error to show for one of the hub's, None for any other.

    Libraries wrap the hub's errors, so the chain of causes is followed.
    """
    # An answer first: where a cached copy was looked for after it, "offline"
    # comes before it in the chain.
    for cause in causes(error):
        if getattr(cause, "response", None) is not None:
            return access_error(repository, *_refusal(cause, repository))
    for cause in causes(error):
        if _is_connection_error(cause):
            return access_error(repository, unreachable(cause), "offline")
    if isinstance(error, OSError) and error.errno is not None:
        what = f"could not be stored: {error.strerror}"
        return access_error(repository, what, "storage")
    return None


def hub_answer(repository: HubRepository) -> Exception | None:
    """The hub's own answer, where it refuses; None for access or no answer."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi(token=repository.token)
    name, kind = repository.repo_id, repository.kind
    try:
        hub.auth_check(name, repo_type=kind)
        hub.repo_info(name, repo_type=kind, revision=repository.revision)
    except HfHubHTTPError as error:
        return error
    except (http_error(), OSError):
        return None
    return None


def unreachable(error: BaseException) -> str:
    """What follows a repository's name where the hub did not answer."""
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE or "Offline" in str(error)
    why = "HF_HUB_OFFLINE is set" if offline else "the hub cannot be reached"
    return f"is not in the cache of this machine, and {why}"


def access_error(
    repository: HubRepository,
    what: str,
    fix: str,
) -> ModelAccessError:
    """Build the error.

    Args:
        repository (`HubRepository`):
            What was asked for.
        what (`str`):
            What is wrong with it; follows its name.
        fix (`str`):
            A key of the table of fixes.
    """
    option = " --repo-type dataset" if repository.kind == "dataset" else ""
    return ModelAccessError(
        f"{repository.kind} {repository.repo_id} {what}",
        fix=_FIXES[fix].format(
            page=repository.page,
            repo_id=repository.repo_id,
            type_option=option,
        ),
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    # Not __context__: a file that was missing and not needed shows there.
    while error is not None:
        yield error
        error = error.__cause__


def _refusal(
    error: BaseException,
    repository: HubRepository,
) -> tuple[str, str]:
    """What an answer of the hub means, and the key of what to do."""
    from huggingface_hub import errors

    response = cast(errors.HfHubHTTPError, error).response
    status = response.status_code
    gated = isinstance(error, errors.GatedRepoError)
    # Ours, or one that `hf auth login` or the environment left.
    sent = "authorization" in response.request.headers
    token = bool(repository.token) or sent
    if isinstance(error, errors.RevisionNotFoundError):
        return f"has no revision {repository.revision!r}", "revision"
    if status == 401 and token:
        return "was not opened: the hub refused the token", "refused"
    if status == 401 and gated:
        return "is gated and no token was given", "no token"
    if gated:
        return (
            "is gated, and the account of the token has not been granted "
            "access (licence not accepted)"
        ), "licence"
    if status == 403:
        return "is disabled, or not open to this token", "licence"
    if status in (401, 404):
        reader = "this token may not read it" if token else "no token given"
        return f"does not exist, or is private and {reader}", "missing"
    return f"could not be read: the hub answered {status}", "later"


def _is_connection_error(error: BaseException) -> bool:
    from huggingface_hub.errors import LocalEntryNotFoundError

    kinds = (LocalEntryNotFoundError, ConnectionError, TimeoutError)
    return isinstance(error, (*kinds, http_error()))


def http_error() -> type[Exception]:
    """The base class of the errors of the HTTP library.

    Which library that is differs between versions of huggingface_hub; its
    own errors derive from it in all of them.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return cast(type[Exception], HfHubHTTPError.__bases__[0])
