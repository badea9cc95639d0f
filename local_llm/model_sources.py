# -*- coding: utf-8 -*-
"""What to load, and where it is: a hub id or a checked local folder.

Reads no weights. Raises WeightsError, ModelAccessError and ConfigError.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import embedded_model, model_files
from .devices import choose_device
from .errors import WeightsError
from .hub_access import HubRepository
from .library_defaults import DEFAULT_QUANTIZATION

Progress = Callable[[str], None]


@dataclass(frozen=True)
class LoadRequest:
    """What to load, and how.

    Attributes:
        source (`str`):
            `embedded:<name>`, a hub id, a local folder or a `.gguf` file.
        tokenizer (`str | None`):
            A local folder to take the tokenizer from instead.
        revision (`str | None`):
            Branch, tag or commit of a hub repository.
        quantization (`Mapping[str, Any] | None`):
            Arguments of `BitsAndBytesConfig`; None for the default, 4-bit.
        device (`str | None`):
            `cpu`, `cuda`, `cuda:<n>`, `mps`; None to choose.
        cache (`Path`):
            Where converted models are kept.
        dtype (`str | None`):
            The number format of the dense weights; None to choose.
        token (`str | None`):
            For gated repositories; never logged.
        fast_head (`bool`):
            Whether replies may come from a head in 8 bits.
        keep_quantized (`bool`):
            Whether 4-bit weights are kept in the cache for the next load.
        cuda_graphs (`bool`):
            Whether replies may come from captured steps.
    """

    source: str
    cache: Path
    tokenizer: str | None = None
    revision: str | None = None
    quantization: Mapping[str, Any] | None = None
    device: str | None = None
    dtype: str | None = None
    token: str | None = field(default=None, repr=False)
    fast_head: bool = True
    keep_quantized: bool = True
    cuda_graphs: bool = False

    def key(self) -> str:
        """Equal for requests that give the same weights on one device."""
        parts = [
            self.source,
            self.tokenizer,
            self.revision,
            self.quantization_arguments(),
            choose_device(self.device),
            self.dtype,
            self.fast_head,
            self.cuda_graphs,
        ]
        return json.dumps(parts, sort_keys=True, default=str)

    @property
    def is_on_hub(self) -> bool:
        """Whether the source names a repository of the hub."""
        embedded = self.source.startswith(embedded_model.EMBEDDED_PREFIX)
        return not embedded and not model_files.is_local(self.source)

    @property
    def repository(self) -> HubRepository:
        """The source as a repository of the hub."""
        return HubRepository(
            "model",
            self.source,
            token=self.token,
            revision=self.revision,
        )

    def quantization_arguments(self) -> dict[str, Any]:
        """The arguments of `BitsAndBytesConfig` that are used."""
        if self.quantization is None:
            return dict(DEFAULT_QUANTIZATION)
        return dict(self.quantization)


def resolve(request: LoadRequest, progress: Progress) -> str:
    """Turn a source into a hub id or a checked local folder."""
    source = request.source
    if source.startswith(embedded_model.EMBEDDED_PREFIX):
        _check_embedded_name(source)
        folder = embedded_model.embedded_folder(request.cache, progress)
        return str(folder)
    if request.is_on_hub:
        model_files.check_hub_repository(request.repository)
        return source
    path = Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return str(embedded_model.gguf_folder(path, request.cache, progress))
    model_files.check_folder(path)
    return str(path)


def _check_embedded_name(source: str) -> None:
    name = source.removeprefix(embedded_model.EMBEDDED_PREFIX)
    if name != embedded_model.EMBEDDED_NAME:
        raise WeightsError(
            f"there is no embedded model {name!r}",
            fix=f"write {embedded_model.EMBEDDED_PREFIX}"
            f"{embedded_model.EMBEDDED_NAME}",
        )
