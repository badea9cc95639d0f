# -*- coding: utf-8 -*-
"""Keeps 4-bit weights in the cache, so that they are quantized once.

A copy belongs to the very files, quantization, number format, kind of device
and library versions that it was made with; another of them makes another one
in its place. Every byte is checked before it is read. What cannot be kept is
only a line in the log. Raises nothing.
"""

import hashlib
import importlib.metadata
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
from bitsandbytes.nn import Linear4bit
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError

from . import atomic_files, disk_room, model_files
from .errors import CheckpointError
from .model_sources import LoadRequest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

LEAST_BYTES = 16_000_000
"""Of 4-bit weights, for which a copy is kept: 32 million of them take a CPU
about a second to quantize."""

RECORD_NAME = "made_of.json"

_LAYOUT = 1
"""Raised when copies change, so that old ones are not used."""

_LIBRARIES = ("bitsandbytes", "torch", "transformers")
_REFUSED_BY_LIBRARIES = (
    CheckpointError,
    OSError,
    RuntimeError,
    SafetensorError,
    ValueError,
)
"""What transformers and safetensors raise where a model cannot be written."""


@dataclass(frozen=True)
class QuantizedCopy:
    """A model in 4 bits in the cache, which may have to be made.

    Attributes:
        folder (`Path`):
            Where it stands, or will stand, as `save_pretrained` writes it.
        record (`Mapping[str, Any]`):
            What it is made of.
    """

    folder: Path
    record: Mapping[str, Any]

    def is_usable(self) -> bool:
        """Whether it is there, with the very bytes that were written; a
        damaged one is removed."""
        if not atomic_files.is_sealed(self.folder):
            return False
        try:
            atomic_files.check_manifest(self.folder)
            return True
        except CheckpointError as error:
            log.warning("4-bit weights are made anew: %s", error)
            self.remove()
            return False

    def remove(self) -> None:
        """Take it away, so that it is made anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_wanted(self, model: "PreTrainedModel") -> bool:
        """Whether a model just quantized is worth a copy."""
        already = model.hf_quantizer.pre_quantized
        return not already and _bytes_of(model) >= LEAST_BYTES

    def keep(self, model: "PreTrainedModel") -> None:
        """Write it, unless somebody else is at it.

        Args:
            model (`PreTrainedModel`):
                As it was quantized: no forward has re-packed its weights.
        """
        lock = self.folder.with_name(f".{self.folder.name}.lock")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(lock).acquire(timeout=0):
                self._write(model)
        except filelock.Timeout:
            log.info("another process writes %s", self.folder)
        except _REFUSED_BY_LIBRARIES as error:
            log.warning("4-bit weights are not kept: %s", error)

    def _write(self, model: "PreTrainedModel") -> None:
        if atomic_files.is_sealed(self.folder):
            return
        self._remove_useless()
        needed = int(1.05 * model.get_memory_footprint())
        disk_room.check_disk_space(self.folder, needed)
        with atomic_files.sealed_folder(self.folder) as partial:
            model.save_pretrained(partial)
            atomic_files.write_json(partial / RECORD_NAME, self.record)
        log.info("4-bit weights kept folder=%s", self.folder)

    def _remove_useless(self) -> None:
        """Copies that nobody can use any more: of the same model and
        quantization made of something else, and of folders that are gone."""
        atomic_files.delete_partials(self.folder)
        use, _, _ = self.folder.name.rpartition("-")
        for other in self.folder.parent.glob("4bit-*"):
            if other.name.startswith(f"{use}-") or _source_is_gone(other):
                shutil.rmtree(other, ignore_errors=True)


def copy_of(
    request: LoadRequest,
    folder: str,
    quantization: Mapping[str, Any],
    dtype: str,
    device: str,
) -> QuantizedCopy | None:
    """The copy that belongs to what is to be loaded.

    Args:
        request (`LoadRequest`):
            What is asked for.
        folder (`str`):
            Where it is: a local folder, or a hub id whose config.json was
            fetched already.
        quantization (`Mapping[str, Any]`):
            The arguments of `BitsAndBytesConfig`.
        dtype (`str`):
            The number format of what is not quantized.
        device (`str`):
            Where it is quantized.

    Returns:
        `QuantizedCopy | None`: None where none is wanted, or where it cannot
            be told what it would be made of.
    """
    if not request.keep_quantized or not quantization.get("load_in_4bit"):
        return None
    made_of = _content(request, folder)
    if made_of is None:
        return None
    use = {
        "source": folder if request.is_on_hub else str(Path(folder).resolve()),
        "revision": request.revision,
        "quantization": {k: str(v) for k, v in sorted(quantization.items())},
        "dtype": dtype,
        "device": device.partition(":")[0],
    }
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    record = {**use, "layout": _LAYOUT, **made_of, "versions": versions}
    name = f"4bit-{_short_hash(use)}-{_short_hash(record)}"
    return QuantizedCopy(request.cache / name, record)


def _content(request: LoadRequest, folder: str) -> dict[str, Any] | None:
    """What tells one state of the source from any other, without reading its
    gigabytes: a commit, or when each file was changed last."""
    if request.is_on_hub:
        config = try_to_load_from_cache(
            folder,
            "config.json",
            revision=request.revision,
        )
        known = isinstance(config, str)
        return {"commit": Path(config).parent.name} if known else None
    files = sorted(
        path
        for kind in ("*.safetensors", "*.json")
        for path in Path(folder).glob(kind)
    )
    # The time of a change of status is none that a user can set back.
    return {
        "files": {
            path.name: [one.st_size, one.st_mtime_ns, one.st_ctime_ns]
            for path, one in ((path, path.stat()) for path in files)
        }
    }


def _bytes_of(model: "PreTrainedModel") -> int:
    return sum(
        layer.weight.nbytes
        for layer in model.modules()
        if isinstance(layer, Linear4bit)
    )


def _source_is_gone(copy: Path) -> bool:
    try:
        text = (copy / RECORD_NAME).read_text(encoding="utf-8")
        source = json.loads(text)["source"]
        return model_files.is_local(source) and not Path(source).exists()
    except (OSError, ValueError, LookupError, TypeError):
        return True


def _short_hash(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
