# -*- coding: utf-8 -*-
"""Reads the rows of a dataset on the Hugging Face hub.

Never runs code of a dataset, never shows the token.
Raises ModelAccessError for what may not or cannot be reached, DatasetError
for what was reached and is no data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .dataset_files import read_file
from .dataset_tables import dataset_rows
from .errors import DatasetError, LocalLLMError
from .hub_access import (
    HubRepository,
    access_error,
    causes,
    check_token,
    explain_hub_error,
    hub_answer,
    unreachable,
)
from .row_values import Row, shorten

SCRIPT_REFUSED = "Dataset scripts are no longer supported"


@dataclass(frozen=True, slots=True)
class HubDataset:
    """What to read from the hub, and as whom."""

    repo_id: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    token: str | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None

    @property
    def label(self) -> str:
        """Its name in places, such as "owner/name@v1 (de, validation)"."""
        at = f"@{self.revision}" if self.revision else ""
        chosen = [self.config, self.split if self.split != "train" else None]
        named = ", ".join(one for one in chosen if one)
        return f"{self.repo_id}{at}" + (f" ({named})" if named else "")

    @property
    def repository(self) -> HubRepository:
        """Where it is, and as whom it is read."""
        return HubRepository(
            "dataset",
            self.repo_id,
            token=self.token,
            revision=self.revision,
        )


def read_hub(source: HubDataset) -> Iterator[tuple[str, Row]]:
    """Reads all rows of one split.

    A dataset that carries a loading script is read from the file that is
    named after the split instead; the script is not run.

    Args:
        source (`HubDataset`):
            What to read.

    Yields:
        `tuple[str, dict]`:
            The place of the row, as "owner/name row 12", with config and
            split where they are not the usual ones; and the row.
    """
    check_token(source.token)
    with _translated_errors(source):
        dataset = _load(source)
        file = _download_split_file(source) if dataset is None else None
    if file is not None:
        yield from read_file(file, f"{source.label}/{file.name}")
        return
    with _translated_errors(source):
        for place, row in dataset_rows(dataset):
            yield f"{source.label} {place}", row


def _load(source: HubDataset) -> Any:
    """The split as a table, or None where it needs a loading script."""
    # Takes most of a second and is not needed for local files.
    from datasets import load_dataset

    try:
        return load_dataset(
            source.repo_id,
            source.config,
            split=source.split,
            revision=source.revision,
            token=source.token,
            cache_dir=_text_or_none(source.cache_dir),
        )
    except RuntimeError as error:
        if SCRIPT_REFUSED in str(error):
            return None
        raise


def _download_split_file(source: HubDataset) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
    )

    folder = f"{source.config}/" if source.config else ""
    name = f"{folder}{source.split}.jsonl"
    try:
        return Path(
            hf_hub_download(
                source.repo_id,
                name,
                repo_type="dataset",
                revision=source.revision,
                token=source.token,
                cache_dir=source.cache_dir,
            ),
        )
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError as error:
        raise DatasetError(
            f"dataset {source.repo_id} needs its loading script, which is "
            f"never run, and has no file {name}",
            fix=f"download its data files from {source.repository.page} and "
            "give their path as data_path",
        ) from error


def _text_or_none(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


@contextmanager
def _translated_errors(source: HubDataset) -> Iterator[None]:
    try:
        yield
    except LocalLLMError:
        raise
    except (*_http_errors(), OSError, ValueError, RuntimeError) as error:
        raise _translate(error, source) from error


def _http_errors() -> tuple[type[Exception], ...]:
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    return (*HfHubHTTPError.__bases__, DatasetsError)


def _translate(error: Exception, source: HubDataset) -> LocalLLMError:
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    repository = source.repository
    missing = isinstance(error, DatasetNotFoundError)
    # So datasets reports a hub that is down and a dataset not in the cache.
    not_fetched = isinstance(error, FileNotFoundError) and not isinstance(
        error,
        DatasetsError,
    )
    # datasets reports a missing token, a licence that is not accepted, an
    # unknown revision and an unknown dataset as one error without a status.
    asked = hub_answer(repository) if missing or not_fetched else None
    explained = explain_hub_error(asked or error, repository)
    if explained is not None:
        return explained
    if not_fetched:
        return access_error(repository, unreachable(error), "offline")
    if missing:
        what = "does not exist, or is private"
        return access_error(repository, what, "missing")
    return DatasetError(
        f"split {source.split!r} of {source.repo_id} cannot be read: "
        f"{_said(error, source)}",
        fix=f"compare the name and the splits with {repository.page}",
    )


def _said(error: Exception, source: HubDataset) -> str:
    """The first line of the innermost foreign error, without the token."""
    *_, innermost = causes(error)
    text = str(innermost).strip().partition("\n")[0]
    if source.token:
        text = text.replace(source.token, "***")
    return shorten(text or type(innermost).__name__, 300)
