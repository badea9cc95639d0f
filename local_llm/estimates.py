# -*- coding: utf-8 -*-
"""What a run will need: memory with its parts, and room on the disk.

Computed from shapes and lengths; nothing is loaded. What can be counted is
exact, what allocators and kernels add is calibrated on the embedded model.
Raises nothing.
"""

from dataclasses import dataclass, fields, replace

from .labelled_loss import BLOCK
from .model_shapes import ModelShape
from .schedules import MicroBatch

USABLE_SHARE = 0.95
"""Of what is free, the share that a run may be planned to fill."""

_HEAD_TILE = (4096, 32768)
"""Positions and words that trl's fused loss projects at a time."""

_TORCH_TILES = 5
"""Float32 copies of such a tile where no Triton kernel folds it."""

_OVERHEAD = {"cpu": 0.35, "cuda": 0.15}
"""Freed blocks that the allocator holds on to, and kernels' own buffers, as a
share of the activations. On a CPU measured, see reports/embedded_memory.json;
on a GPU the usual fragmentation."""

_OPTIMIZER_BYTES = (("8bit", 2), ("sgd", 0), ("adafactor", 0), ("lion", 4))
"""State of an optimizer for each trained weight, by a word of its name; AdamW
has two values of four bytes."""

_ADAMW_VALUES = 2

_TOKENIZER_BYTES = 130
"""On the disk, for each word of a vocabulary; Gemma's has 128."""

_REPORT_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """The most memory that a run will use, in bytes, and of what.

    Attributes:
        process (`int`):
            Python and the libraries, with the tokenizer; on a GPU what its
            libraries take for themselves.
        mapped (`int`):
            Pages of the weights' file that stay mapped although the weights
            were quantized; the system takes them back when it needs them.
        weights (`int`):
            As loaded, with a second 4-bit form where replies need one.
        adapter (`int`), gradients (`int`), optimizer (`int`):
            Of the trained weights.
        activations (`int`):
            What the longest batch leaves for the backward pass.
        head (`int`):
            Logits in work.
        overhead (`int`):
            Of allocators and kernels.
    """

    process: int
    mapped: int
    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    head: int
    overhead: int

    @property
    def total(self) -> int:
        """The peak that will be measured."""
        return sum(self.parts().values())

    @property
    def needed(self) -> int:
        """What must be free: all but the pages that can be taken back."""
        return self.total - self.mapped

    def parts(self) -> dict[str, int]:
        """The bytes by the name of the part."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class DiskEstimate:
    """Bytes of the checkpoints that are there at once, and of the run."""

    checkpoints: int
    run: int

    @property
    def total(self) -> int:
        """Both; checkpoints go only once the run stands."""
        return self.checkpoints + self.run


def estimate_memory(
    shape: ModelShape,
    batch: MicroBatch,
    optimizer: str,
    process_bytes: int,
) -> MemoryEstimate:
    """The memory of a run without gradient checkpointing.

    Args:
        shape (`ModelShape`):
            The model with its adapter.
        batch (`MicroBatch`):
            The longest that will come.
        optimizer (`str`):
            As `training_args` name it.
        process_bytes (`int`):
            What the process has without the weights.
    """
    activations = _activations(shape, batch)
    return MemoryEstimate(
        process=process_bytes,
        mapped=_mapped_bytes(shape),
        weights=shape.weight_bytes + shape.packed_bytes,
        adapter=shape.trained_bytes if shape.trains_adapter else 0,
        gradients=shape.trained_bytes,
        optimizer=optimizer_bytes(shape, optimizer),
        activations=activations,
        head=_head_bytes(shape, batch),
        overhead=_overhead(shape, activations),
    )


def with_checkpointing(
    estimate: MemoryEstimate,
    shape: ModelShape,
    batch: MicroBatch,
) -> MemoryEstimate:
    """The same run with gradient checkpointing: what enters each layer is
    kept, and one layer at a time computed again."""
    entering = shape.layers * batch.tokens * shape.width * shape.dtype.itemsize
    activations = entering + _activations(shape, batch) // shape.layers
    overhead = _overhead(shape, activations)
    return replace(
        estimate,
        activations=activations,
        # A CPU's allocator holds on to the blocks of all layers all the same.
        overhead=estimate.overhead if shape.on_cpu else overhead,
    )


def choose_gradient_checkpointing(
    estimate: MemoryEstimate,
    free_bytes: int,
) -> tuple[bool, str]:
    """Whether activations should be computed twice to save memory, and why.

    Args:
        estimate (`MemoryEstimate`):
            Of the run without checkpointing.
        free_bytes (`int`):
            What the process may have, see `memory.free_memory_bytes`.
    """
    found = f"{gigabytes(free_bytes)} are free"
    needed = f"without it {gigabytes(estimate.needed)} are needed"
    if estimate.needed <= USABLE_SHARE * free_bytes:
        return False, f"{needed}, {found}"
    return True, f"{needed}, only {found}; each step takes a third longer"


def estimate_disk(
    shape: ModelShape,
    optimizer: str,
    checkpoints: int,
    keeps_best: bool,
) -> DiskEstimate:
    """The room that a run needs.

    Args:
        shape (`ModelShape`):
            The model with its adapter.
        optimizer (`str`):
            As `training_args` name it.
        checkpoints (`int`):
            How many are there at once.
        keeps_best (`bool`):
            Whether each has the best weights besides the last ones.
    """
    weights = shape.trained_bytes * (2 if keeps_best else 1)
    state = weights + optimizer_bytes(shape, optimizer)
    tokenizer = shape.vocabulary * _TOKENIZER_BYTES
    return DiskEstimate(
        checkpoints=checkpoints * state,
        run=shape.trained_bytes + tokenizer + _REPORT_BYTES,
    )


def optimizer_bytes(shape: ModelShape, optimizer: str) -> int:
    """Of the optimizer's state."""
    for word, size in _OPTIMIZER_BYTES:
        if word in optimizer:
            return shape.trained * size
    return shape.trained_bytes * _ADAMW_VALUES


def gigabytes(count: float) -> str:
    """A number of bytes for people."""
    if count < 1e9:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.1f} GB"


def _mapped_bytes(shape: ModelShape) -> int:
    """On a CPU, weights of the file's own format are the mapped file; of the
    others, the file is mapped as long as one such weight is."""
    if not shape.on_cpu or shape.bits is None:
        return 0
    dense = (shape.weights - shape.linear_weights) * shape.dtype.itemsize
    return max(0, shape.file_bytes - dense)


def _activations(shape: ModelShape, batch: MicroBatch) -> int:
    masks = shape.layers * batch.mask_elements * shape.dtype.itemsize
    saved = shape.saved_once + shape.saved_per_token * batch.tokens
    return round(saved) + masks


def _head_bytes(shape: ModelShape, batch: MicroBatch) -> int:
    """Logits in work, and the gradients of the head where it is trained."""
    size = shape.dtype.itemsize
    gradient = batch.labelled * shape.width * 4
    if shape.on_cpu and shape.has_cheap_loss:
        # The product, its float32 copy, and softmax's own copy.
        copies = 4 + 4 + (size if size < 4 else 0)
        return gradient + BLOCK * shape.vocabulary * copies
    scored = batch.tokens if shape.on_cpu else batch.labelled
    positions = min(scored, _HEAD_TILE[0])
    tile = positions * _HEAD_TILE[1] * size
    if shape.on_cpu:
        tile += positions * _HEAD_TILE[1] * 4 * _TORCH_TILES
    if not shape.trains_adapter:
        gradient += shape.vocabulary * shape.width * 4
    return gradient + tile


def _overhead(shape: ModelShape, activations: int) -> int:
    inner, columns = shape.largest_linear
    whole = inner * columns * shape.dtype.itemsize  # one layer, dequantized
    return (
        round(_OVERHEAD["cpu" if shape.on_cpu else "cuda"] * activations)
        + 2 * whole
    )
