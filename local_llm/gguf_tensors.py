# -*- coding: utf-8 -*-
"""The tensors of a saved model, as a GGUF file wants them.

First what will be written, from the headers of the safetensors files; then one
tensor at a time, read in blocks of rows. Knows no tokens and writes no file.
Raises WeightsError.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Stored

from .errors import WeightsError
from .gguf_families import Family, head_size, rope_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Kind = Literal["f16", "q8_0"]

_STORED = {"f16": Stored.F16, "q8_0": Stored.Q8_0}
_BLOCK_VALUES = 1 << 23  # 32 MiB of float32
_Q8_0_VALUES = gguf.GGML_QUANT_SIZES[Stored.Q8_0][0]
_LARGEST_F16 = float(np.finfo(np.float16).max)
_LARGEST = {
    Stored.F32: np.inf,
    Stored.F16: _LARGEST_F16,
    Stored.Q8_0: 127 * _LARGEST_F16,  # the scale of a block is a float16
}
_HEAD = "lm_head.weight"
_TEXT_PART = "language_model."
_IMAGE_PARTS = ("vision_tower.", "multi_modal_projector.")
"""Of a model that sees images too: the first is written, the others not."""

_ROPE_FREQUENCIES = "rope_freqs.weight"


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor of the file to be.

    Attributes:
        name (`str`):
            Its name there.
        shape (`tuple[int, ...]`):
            Its shape, the rows first.
        stored (`GGMLQuantizationType`):
            How its values are stored.
        file (`Path | None`):
            The safetensors file that has it; None for one that is computed.
        key (`str`):
            Its name in that file.
        offset (`float`):
            What is added to each value.
        heads (`int`):
            Where not 0, rows are re-ordered within each of so many heads.
        values (`np.ndarray | None`):
            The values, where it is computed.
    """

    name: str
    shape: tuple[int, ...]
    stored: Stored
    file: Path | None = None
    key: str = ""
    offset: float = 0.0
    heads: int = 0
    values: np.ndarray | None = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in memory: of bytes where values are quantized."""
        if self.stored != Stored.Q8_0:
            return self.shape
        return gguf.quant_shape_to_byte_shape(self.shape, self.stored)

    @property
    def dtype(self) -> np.dtype:
        """The type in memory."""
        types = {Stored.F32: np.float32, Stored.F16: np.float16}
        return np.dtype(types.get(self.stored, np.uint8))

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return int(np.prod(self.stored_shape)) * self.dtype.itemsize


def plan_tensors(
    folder: Path,
    config: "PreTrainedConfig",
    family: Family,
    kind: Kind,
) -> list[GgufTensor]:
    """What will be written, in this order; reads no values.

    Args:
        folder (`Path`):
            Where the safetensors files are.
        config (`PreTrainedConfig`):
            The model's configuration.
        family (`Family`):
            How runtimes read the model.
        kind (`Literal["f16", "q8_0"]`):
            How matrices are stored; norms and biases stay float32.

    Raises:
        `WeightsError`: A tensor of the model is missing, has another shape,
            or has no place in the file.
    """
    found = _stored_tensors(folder)
    expected = _expected_shapes(config)
    _check_complete(folder, found, expected)
    names = gguf.get_tensor_name_map(
        family.architecture,
        config.num_hidden_layers,
    )
    plan = [
        _planned(key, found[key], config, family, kind, names)
        for key in expected
    ]
    if rope_of(config)["rope_type"] == "llama3":
        plan.insert(0, _rope_frequencies(config))
    return plan


def load_tensor(tensor: GgufTensor) -> np.ndarray:
    """The values as they are stored.

    Takes the memory of the result and of a block of rows; where rows are
    re-ordered, of the whole tensor in float32.

    Raises:
        `WeightsError`: A value is not finite, or too large for float16.
    """
    if tensor.values is not None:
        return tensor.values
    result = np.empty(tensor.stored_shape, tensor.dtype)
    row = 0
    for block in _blocks(tensor):
        _check_values(tensor, block)
        rows = len(block)
        result[row : row + rows] = gguf.quantize(block, tensor.stored)
        row += rows
    return result


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the values of a parameter are."""

    file: Path
    key: str
    shape: tuple[int, ...]


def _stored_tensors(folder: Path) -> dict[str, _Source]:
    """Every tensor by its name in a model that reads text alone."""
    from safetensors import SafetensorError, safe_open

    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():
                    if not key.startswith(_IMAGE_PARTS):
                        shape = tuple(file.get_slice(key).get_shape())
                        name = key.removeprefix(_TEXT_PART)
                        found[name] = _Source(path, key, shape)
        except (SafetensorError, OSError) as error:
            raise WeightsError(
                f"{path.absolute()} cannot be read: {error}",
                fix="export the model again",
            ) from error
    return found


def _expected_shapes(
    config: "PreTrainedConfig",
) -> dict[str, tuple[int, ...]]:
    """The shapes of the model's parameters; a tied head is none of them."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return {
        key: tuple(parameter.shape)
        for key, parameter in model.named_parameters()
    }


def _check_complete(
    folder: Path,
    found: dict[str, _Source],
    expected: dict[str, tuple[int, ...]],
) -> None:
    missing = sorted(expected.keys() - found.keys())
    # A tied head may be stored all the same; it is the embedding.
    unknown = sorted(found.keys() - expected.keys() - {_HEAD})
    changed = [
        f"{key} has the shape {found[key].shape}, not {shape}"
        for key, shape in expected.items()
        if key in found and found[key].shape != shape
    ]
    problems = (
        [f"{key} is missing" for key in missing]
        + [f"{key} is no part of the model" for key in unknown]
        + changed
    )
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise WeightsError(
            f"{folder.absolute()} does not hold the model of its "
            f"config.json: {problems[0]}{more}",
            fix="export the model again, merged and unquantized",
        )


def _planned(
    key: str,
    source: _Source,
    config: "PreTrainedConfig",
    family: Family,
    kind: Kind,
    names: gguf.TensorNameMap,
) -> GgufTensor:
    name = names.get_name(key, try_suffixes=(".weight", ".bias"))
    if name is None:
        raise WeightsError(
            f"GGUF has no name for {key} of a {config.model_type} model",
            fix="use the model with transformers",
        )
    is_norm = name.endswith("_norm.weight")
    return GgufTensor(
        name,
        source.shape,
        _how_stored(source.shape, kind),
        source.file,
        source.key,
        offset=1.0 if is_norm and family.shifts_norms else 0.0,
        heads=_heads(name, config) if family.permutes_heads else 0,
    )


def _how_stored(shape: tuple[int, ...], kind: Kind) -> Stored:
    """Vectors as float32; rows that fill no blocks as float16."""
    if len(shape) == 1:
        return Stored.F32
    if kind == "q8_0" and shape[-1] % _Q8_0_VALUES:
        return Stored.F16
    return _STORED[kind]


def _heads(name: str, config: "PreTrainedConfig") -> int:
    if ".attn_q." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".attn_k." in name else 0


def _rope_frequencies(config: "PreTrainedConfig") -> GgufTensor:
    """By what each frequency of a long-context Llama is divided."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    width = head_size(config)
    steps = torch.arange(0, width, 2, dtype=torch.float32) / width
    plain = 1.0 / rope_of(config)["rope_theta"] ** steps
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    values = (plain / scaled).numpy().astype(np.float32)
    return GgufTensor(
        _ROPE_FREQUENCIES,
        values.shape,
        Stored.F32,
        values=values,
    )


def _blocks(tensor: GgufTensor) -> Iterator[np.ndarray]:
    """The values of a stored tensor in float32, some rows at a time."""
    from safetensors import safe_open

    assert tensor.file is not None
    rows = tensor.shape[0]
    row_size = max(1, int(np.prod(tensor.shape[1:])))
    step = rows if tensor.heads else max(1, _BLOCK_VALUES // row_size)
    with safe_open(tensor.file, framework="pt") as file:
        stored = file.get_slice(tensor.key)
        for row in range(0, rows, step):
            block = stored[row : row + step].to(torch.float32).numpy()
            if tensor.heads:
                block = block[_neighbours_first(rows, tensor.heads)]
            yield block + np.float32(tensor.offset) if tensor.offset else block


def _neighbours_first(rows: int, heads: int) -> np.ndarray:
    """The order of rows in which what is rotated together is adjacent.

    The model rotates the first half of a head against its second half.
    """
    order = np.arange(rows).reshape(heads, 2, rows // heads // 2)
    return order.swapaxes(1, 2).reshape(rows)


def _check_values(tensor: GgufTensor, block: np.ndarray) -> None:
    largest = float(np.abs(block).max(initial=0.0))
    if np.isfinite(largest) and largest <= _LARGEST[tensor.stored]:
        return
    raise WeightsError(
        f"{tensor.key} of {tensor.file} holds the value {largest}, which "
        f"{tensor.stored.name} cannot hold",
        fix="train again with a lower learning rate: the weights are broken",
    )
