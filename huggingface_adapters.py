# -*- coding: utf-8 -*-
"""Named adapters of a chat model on open weights.

`AdapterNames` is the part of `HuggingFaceWrapper` that puts adapters on the
loaded weights and gives views with one of them. Loads no weights. Raises the
errors of `local_llm`.
"""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from local_llm.local_model import LocalModel
    from local_llm.named_adapters import NamedAdapters


class AdapterNames:
    """A chat model whose weights carry adapters under names."""

    local: "LocalModel"
    """The loaded model."""

    @property
    def adapter_names(self) -> list[str]:
        """The adapters that are loaded, by name, for all who share the
        weights."""
        return self._named().names

    def load_adapter(self, name: str, path: str | Path) -> None:
        """Put an adapter on the loaded weights; no reply changes by it.

        Blocks while a reply is generated; in a coroutine, call it through
        `asyncio.to_thread`.

        Args:
            name (`str`):
                What to call it: lower-case letters, digits, `-` and `_`.
            path (`str | Path`):
                The folder of a finished run, or one that peft wrote.

        Raises:
            `ConfigError`: The name cannot be used, or is in use.
            `CheckpointError`: A file of the run is missing or was changed.
            `WeightsError`: There is no adapter, or one of another base.
            `GenerationError`, `TrainingError`: Others have changed or used
                the model for two minutes, or one.
        """
        self._named().load(name, self.local.surroundings.path(path))

    def unload_adapter(self, name: str) -> None:
        """Take an adapter off the weights and free its memory.

        Replies that need it come to their end first, for a minute at most;
        new ones are refused at once. Blocks as `load_adapter` does.

        Args:
            name (`str`):
                What it is called.

        Raises:
            `ConfigError`: There is none of that name.
            `GenerationError`: Replies still need it; it stays.
        """
        self._named().unload(name)

    def with_adapter(self, name: str | None) -> Self:
        """The same chat model, answering with another adapter.

        Args:
            name (`str | None`):
                What the adapter is called; None for the bare base model.

        Returns:
            `Self`: A view on the same weights; this model stays as it is.

        Raises:
            `ConfigError`: No adapter of that name is loaded.
        """
        view = copy.copy(self)
        view.local = self.local.with_adapter(name)
        return view

    def _named(self) -> "NamedAdapters":
        from local_llm.named_adapters import named_adapters

        return named_adapters(self.local.base)
